"""Reads a recipe file into a typed, frozen recipe; every mistake at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from voxmill.errors import FieldProblem, RecipeError, UsageError
from voxmill.families.catalogue import FAMILIES, config_class
from voxmill.recipe.document import KeyPath, dotted, load_document
from voxmill.recipe.mistakes import Mistake, from_conflict, shown, translate
from voxmill.recipe.overrides import apply_overrides
from voxmill.recipe.recipe import SECTIONS, Recipe
from voxmill.recipe.rules import conflicts_between_sections
from voxmill.section import Section

RECIPES = Path("recipes")
"""Where a project's recipes lie."""
SectionT = TypeVar("SectionT", bound=Section)


def find_recipe(name: str, folder: Path = RECIPES) -> Path:
    """The file of a recipe that is given by name or by path.

    Raises:
        UsageError: There is none; the message lists those that there are.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    path = folder / f"{name}.yaml"
    if path.is_file():
        return path
    there = sorted(file.stem for file in folder.glob("*.yaml"))
    near = get_close_matches(name, there, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"No recipe {name!r} in {folder}/: found {', '.join(there) or 'none'}.{hint}")


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file; the file's name is the recipe's.

    Args:
        path: A file `<recipe>.yaml`.
        overrides: Changes over the file, `section.key=value`, later ones over earlier ones.

    Raises:
        UsageError: There is no such file.
        RecipeError: The file or an override is wrong; holds every mistake, in the file's order.
    """
    try:
        document = load_document(path)
    except FileNotFoundError as error:
        raise UsageError(f"No recipe at {path}. Recipes are the files in {RECIPES}/.") from error
    except OSError as error:
        raise UsageError(f"Recipe {path} cannot be read: {error.strerror}.") from error
    values, changed, problems = apply_overrides(document.values, overrides)
    problems = [*document.problems.values(), *problems]
    recipe, mistakes = validate({**_filled(values), "name": path.name.removesuffix(".yaml")})
    if "name" in values:
        mistakes.append(Mistake(("name",), "a name", "a recipe is named by its file; remove it"))
    if path.suffix != ".yaml":
        problems.append(FieldProblem("(file)", path.name, "a recipe file ends in .yaml"))
    mistakes = [one for one in mistakes if not _touches(one, document.problems)]
    mistakes.sort(key=lambda mistake: _line(mistake.path, document.lines) or 0)
    problems += [_placed(mistake, document.lines, changed) for mistake in mistakes]
    if recipe is None or problems:
        raise RecipeError(str(path), problems)
    return recipe


def validate(values: Mapping[str, Any]) -> tuple[Recipe | None, list[Mistake]]:
    """Checks raw values, `name` included, field by field and against each other.

    What is left without the wrong fields may still contradict itself: so they are taken out, so
    that their defaults stand in, and the rest is checked again, until nothing more is found.
    Whatever a default then contradicts is no mistake of the recipe's.

    Returns:
        The recipe, or None where there is a mistake; every mistake.
    """
    mistakes: list[Mistake] = []
    wrong: set[KeyPath] = set()
    recipe, found = _validate_fields(values)
    left = dict(values)
    while found and recipe is None:
        mistakes += [mistake for mistake in found if not _touches(mistake, wrong)]
        paths = {mistake.path for mistake in found}
        if paths <= wrong:  # a default does not fit either: the fields beside it have to go, too
            paths = {other for mistake in found for other in mistake.others}
        if paths <= wrong:
            break
        wrong |= paths
        left = _without(left, paths)
        recipe, found = _validate_fields(left)
    if recipe is not None:
        between = [from_conflict(one) for one in conflicts_between_sections(recipe)]
        mistakes += [mistake for mistake in between if not _touches(mistake, wrong)]
    return (None if mistakes else recipe), mistakes


def _validate_fields(values: Mapping[str, Any]) -> tuple[Recipe | None, list[Mistake]]:
    mistakes: list[Mistake] = []
    recipe = _checked(Recipe, values, values, mistakes)
    family, model = values.get("family"), values.get("model")
    typed = None
    if "model" in values and not isinstance(model, Mapping):
        mistakes.append(Mistake(("model",), shown(model), "allowed: a section"))
    elif family in FAMILIES and model is not None:
        typed = _checked(config_class(str(family)), model, values, mistakes)
    if recipe is None or typed is None:
        return None, mistakes
    return recipe.model_copy(update={"model": typed}), mistakes


def _checked(
    section: type[SectionT],
    part: Mapping[str, Any],
    values: Mapping[str, Any],
    mistakes: list[Mistake],
) -> SectionT | None:
    try:
        return section.model_validate_json(json.dumps(part))
    except ValidationError as error:
        prefix = () if part is values else ("model",)
        mistakes += translate(error.errors(include_url=False), values, prefix=prefix)
        return None


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with `verify:` and the like, which has nothing in it, as an empty section."""
    return {
        key: {} if value is None and key in SECTIONS else value for key, value in values.items()
    }


def _without(values: Mapping[str, Any], paths: Iterable[KeyPath]) -> dict[str, Any]:
    left: dict[str, Any] = json.loads(json.dumps(values))
    for path in paths:
        keys = list(takewhile(lambda part: isinstance(part, str), path))  # a list goes as a whole
        holder: Any = left
        for key in keys[:-1]:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.pop(keys[-1], None)
    return left


def _touches(mistake: Mistake, wrong: Iterable[KeyPath]) -> bool:
    """Whether one of the mistake's fields has been found wrong before."""
    fields = (mistake.path, *mistake.others)
    return any(
        field[: len(one)] == one or one[: len(field)] == field for field in fields for one in wrong
    )


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """Where a field stands, or else the section that lacks it."""
    near = (lines.get(path[:length]) for length in range(len(path), 0, -1))
    return next((line for line in near if line), None)


def _placed(mistake: Mistake, lines: Mapping[KeyPath, int], changed: set[KeyPath]) -> FieldProblem:
    """The mistake with the line that it stands in, or where else it came from."""
    line = _line(mistake.path, lines)
    if any(mistake.path[: len(one)] == one for one in changed):
        place = " (--set)"
    else:
        place = f" (line {line})" if line else ""
    return FieldProblem(dotted(mistake.path), f"{mistake.found}{place}", mistake.allowed)
