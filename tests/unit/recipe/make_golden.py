"""Writes the expected message beside each broken recipe; read what changed before committing."""

from __future__ import annotations

import contextlib
from pathlib import Path

from voxmill.errors import RecipeError
from voxmill.recipe.reading import read_recipe

GOLDEN = Path(__file__).parent / "golden"


def message(path: Path) -> str:
    """What a person reads who uses this recipe."""
    with contextlib.chdir(path.parent):
        try:
            read_recipe(Path(path.name))
        except RecipeError as error:
            return f"{error}\n"
    raise AssertionError(f"{path} has no mistake")


if __name__ == "__main__":
    for recipe in sorted(GOLDEN.glob("*.yaml")):
        recipe.with_suffix(".txt").write_text(message(recipe), encoding="utf-8")
