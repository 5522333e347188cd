"""Changes to a recipe from outside the file: `section.key=value`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.errors import FieldProblem
from voxmill.recipe.document import KeyPath, dotted, format_value, parse_value
from voxmill.recipe.fields import recipe_field, recipe_keys
from voxmill.recipe.mistakes import nearest_key, shown, sibling_keys

_FORM = "write it as section.key=value, such as train.epochs=3"


@dataclass(frozen=True)
class Override:
    """One change: where and to what."""

    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        return f"{dotted(self.path)}={format_value(self.value)}"


def parse_override(text: str) -> Override | FieldProblem:
    """Reads `section.key=value`; the value is YAML: 1e-4, true, [1, 2], null, some words."""
    key, sign, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not sign or not all(path):
        return FieldProblem(f"--set {text}", "no key and value", _FORM)
    try:
        return Override(path=path, value=parse_value(value))
    except ValueError as error:
        return FieldProblem(dotted(path), shown(value), f"the value must be YAML: {error}")


def apply_overrides(
    values: Mapping[str, Any], texts: Sequence[str]
) -> tuple[dict[str, Any], set[KeyPath], list[FieldProblem]]:
    """The recipe's raw values with every override in place, later ones over earlier ones.

    Returns:
        The changed values, the paths that came from overrides, and what was wrong with them.
    """
    changed = copy.deepcopy(dict(values))
    paths: set[KeyPath] = set()
    problems: list[FieldProblem] = []
    for text in texts:
        override = parse_override(text)
        if isinstance(override, Override):
            problem = _apply(changed, override)
            paths.add(override.path)
        else:
            problem = override
        if problem is not None:
            problems.append(problem)
    return changed, paths, problems


def _apply(values: dict[str, Any], override: Override) -> FieldProblem | None:
    if override.path == ("name",):
        return FieldProblem("name", shown(override.value), "a recipe is named by its file")
    trial = _with_value(values, override.path, override.value)
    # A wrong `kind` hides what its section takes; it is still a key, and validation names it.
    if all(recipe_field(override.path, one) is None for one in (trial, values)):
        nearest = nearest_key(
            override.path, sibling_keys(override.path, values), recipe_keys(values)
        )
        hint = f"did you mean {nearest}?" if nearest else _FORM
        return FieldProblem(dotted(override.path), "an unknown key (--set)", hint)
    values.update(trial)
    return None


def _with_value(values: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    key, *rest = path
    if not rest:
        return {**values, key: value}
    below = values.get(key)
    return {**values, key: _with_value(below if isinstance(below, dict) else {}, rest, value)}
