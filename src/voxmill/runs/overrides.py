"""Overrides of a recipe, `section.key=value`, written into its file."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from voxmill.errors import FieldProblem, RecipeError


def write_overrides(file: Path, overrides: Mapping[str, object]) -> None:
    """Writes the values into a recipe file; comments and everything else stay as they are.

    Whether a key exists and its value fits is for the recipe's own validation to say.

    Raises:
        RecipeError: A key leads through a value that has no keys.
    """
    if not overrides:
        return
    yaml = _round_trip()
    document = yaml.load(file)
    problems: list[FieldProblem] = []
    for key, value in overrides.items():
        *path, last = key.split(".")
        section: Any = document
        for name in path:
            section = section.setdefault(name, {}) if isinstance(section, MutableMapping) else None
        if isinstance(section, MutableMapping):
            section[last] = value
        else:
            problems.append(
                FieldProblem(key, "a value that has no keys", f"{path[-1]} is no section")
            )
    if problems:
        raise RecipeError(str(file.name), problems)
    yaml.dump(document, file)


def _round_trip() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000  # a folded line would be a change that nobody made
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
