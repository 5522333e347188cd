"""What a stage needs of a machine, as all who have a say in it have said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RESOURCES = "resources."


def needs_of(
    meta: Mapping[str, Any],
    resources: Mapping[str, Any],
    conf: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a stage needs of a machine: `meta`, over it the recipe, over that one run's form.

    Args:
        meta: The stage's `meta` in dvc.yaml.
        resources: The recipe's section of that name; null leaves what `meta` says.
        conf: Configuration of one DAG run, with fields by `section.key`.
    """
    asked = {
        key.removeprefix(_RESOURCES): value
        for key, value in (conf or {}).items()
        if key.startswith(_RESOURCES)
    }
    stated = {**resources, **asked}
    return {**meta, **{key: value for key, value in stated.items() if value is not None}}
