"""Turns what pydantic refuses into sentences that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from voxmill.recipe.document import KeyPath, dotted, format_value
from voxmill.recipe.fields import item, recipe_field, recipe_keys
from voxmill.section import Conflict

LONGEST_SHOWN = 60
"""Characters of a wrong value that a message repeats."""

_KIND_ERRORS = ("union_tag_invalid", "union_tag_not_found")


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a recipe's values."""

    path: KeyPath
    found: str
    allowed: str
    others: tuple[KeyPath, ...] = ()
    """Fields that it contradicts."""


def translate(
    errors: Sequence[Mapping[str, Any]], values: Mapping[str, Any], *, prefix: KeyPath = ()
) -> Iterator[Mistake]:
    """Each of pydantic's complaints in plain words.

    Args:
        errors: As `ValidationError.errors()` gives them.
        values: The whole recipe's raw values.
        prefix: Where in the recipe the complaints' own paths begin.
    """
    for error in errors:
        path = _without_tags((*prefix, *error["loc"]), values)
        if error["type"] == "conflict":
            for conflict in error["ctx"]["conflicts"]:
                yield from_conflict(conflict, path)
        elif error["type"] == "value_error":
            reason = str(error["msg"]).removeprefix("Value error, ")
            yield Mistake(path, "values that do not fit together", f"allowed: {reason}")
        elif error["type"] in _KIND_ERRORS:
            yield _unknown_kind(path, values)
        else:
            yield _wrong_field(error, path, values)


def from_conflict(conflict: Conflict, place: KeyPath = ()) -> Mistake:
    """A broken rule between fields, its fields named from the top of the recipe."""
    others = tuple((*place, *other.split(".")) for other in conflict.others)
    path = (*place, *conflict.field.split("."))
    return Mistake(path, conflict.found, f"allowed: {conflict.allowed}", others=others)


def shown(value: Any) -> str:
    """A wrong value as it would stand in a recipe, shortened where it is long."""
    if isinstance(value, dict):
        return f"a section with {', '.join(map(str, value)) or 'nothing in it'}"
    text = format_value(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def sibling_keys(path: KeyPath, values: Mapping[str, Any]) -> list[str]:
    """The keys of the section that a path leads into; none where it leads nowhere."""
    parent = recipe_field(path[:-1], values)
    if parent is None or not parent.sections:
        return []
    section = parent.section(item(_at(values, path[:-1]), "kind"))
    return [key for key in section.model_fields if key != "name"] if section else []


def nearest_key(path: KeyPath, siblings: Sequence[str], keys: Sequence[KeyPath]) -> str | None:
    """The existing key that was most likely meant: a sibling, the same word elsewhere, or alike."""
    word = str(path[-1])
    close = get_close_matches(word, siblings, n=1)
    if close:
        return dotted((*path[:-1], close[0]))
    words = get_close_matches(word, {str(key[-1]) for key in keys}, n=1, cutoff=0.8)
    alike = [dotted(key) for key in keys if [key[-1]] == words]
    # The first of those that are equally alike, in the order of the recipe's sections.
    return max(
        alike, key=lambda key: SequenceMatcher(None, key, dotted(path)).ratio(), default=None
    )


def _wrong_field(error: Mapping[str, Any], path: KeyPath, values: Mapping[str, Any]) -> Mistake:
    kind = str(error["type"])
    if path == ("name",):
        allowed = "a file name of lower-case letters, digits and - (the file names the recipe)"
        return Mistake(path, shown(error["input"]), f"allowed: {allowed}")
    if kind == "extra_forbidden":
        return Mistake(path, "an unknown key", _instead_of(path, values))
    if error["loc"] and error["loc"][-1] == "[key]":
        return Mistake(path, "this name", "allowed: lower-case letters, digits and -")
    field = recipe_field(path, values)
    allowed = field.words() if field else "a section of the recipe's family"
    found = "nothing" if kind == "missing" else shown(error["input"])
    return Mistake(path, found, f"allowed: {allowed}")


def _unknown_kind(path: KeyPath, values: Mapping[str, Any]) -> Mistake:
    field = recipe_field(path, values)
    tag = _at(values, (*path, "kind"))
    found = "nothing" if tag is None else shown(tag)
    return Mistake(
        (*path, "kind"), found, f"allowed: one of {', '.join(field.kinds) if field else ''}"
    )


def _instead_of(path: KeyPath, values: Mapping[str, Any]) -> str:
    siblings = sibling_keys(path, values)
    nearest = nearest_key(path, siblings, recipe_keys(values))
    hint = f"did you mean {nearest}? " if nearest else ""
    if not siblings:
        return f"{hint}allowed: nothing yet in this section"
    return f"{hint}allowed: {', '.join(siblings)}"


def _without_tags(place: KeyPath, values: Mapping[str, Any]) -> KeyPath:
    """Pydantic puts the `kind` of a chosen section into the path; people do not."""
    path: KeyPath = ()
    value: Any = values
    for part in place:
        if part == "[key]" or (isinstance(value, dict) and value.get("kind") == part != "kind"):
            continue
        path = (*path, part)
        value = item(value, part)
    return path


def _at(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = item(values, part)
    return values
