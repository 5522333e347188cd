"""What each field of a recipe takes: walked by messages, overrides and the form alike."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from voxmill.families.catalogue import FAMILIES, config_class
from voxmill.recipe.document import KeyPath
from voxmill.recipe.recipe import Recipe
from voxmill.section import Section

_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
_LIMIT_WORDS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "min_length": "at least {} of them",
    "max_length": "at most {} of them",
    "pattern": "matching {}",
}
_TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}


@dataclass(frozen=True)
class FieldType:
    """What one field takes, without the wrappings of typing."""

    annotation: Any
    """A plain type, Literal, list[…], dict[…], a section class or a union of section classes."""
    optional: bool
    """Whether null is allowed."""
    limits: Mapping[str, Any]
    """`ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `pattern` where they are set."""
    examples: tuple[str, ...] = ()
    """Values that say more than a pattern does."""

    @property
    def sections(self) -> tuple[type[Section], ...]:
        """The section classes it may be; empty for a plain value."""
        members = _members(self.annotation)
        return tuple(one for one in members if isinstance(one, type) and issubclass(one, Section))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The values of `kind` that tell its section classes apart; empty without a choice."""
        if len(self.sections) < 2:
            return ()
        return tuple(get_args(one.model_fields["kind"].annotation)[0] for one in self.sections)

    def section(self, kind: object) -> type[Section] | None:
        """The section class that a `kind` names, or the only one there is."""
        if len(self.sections) == 1:
            return self.sections[0]
        return dict(zip(self.kinds, self.sections, strict=True)).get(str(kind))

    def inside(self) -> FieldType | None:
        """What an item of a list or a value of a mapping takes."""
        origin, arguments = get_origin(self.annotation), get_args(self.annotation)
        if origin in (list, dict) and arguments:
            return field_type(arguments[-1])
        return None

    def words(self) -> str:
        """What is allowed, in plain words."""
        limits = " and ".join(_limit_words(self))
        text = f"{_type_words(self)}, {limits}" if limits else _type_words(self)
        return f"{text}, or null" if self.optional else text


def field_type(source: FieldInfo | Any) -> FieldType:
    """Unwraps a pydantic field or an annotation."""
    annotation: Any = source
    metadata: list[Any] = []
    examples: tuple[str, ...] = ()
    if isinstance(source, FieldInfo):
        annotation, metadata = source.annotation, list(source.metadata)
        examples = tuple(map(str, source.examples or ()))
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for one in more:
            metadata += one.metadata if isinstance(one, FieldInfo) else [one]
    members = _members(annotation)
    plain = tuple(one for one in members if one is not type(None))
    limits = {name: value for name in _LIMITS if (value := _limit(metadata, name)) is not None}
    return FieldType(
        annotation=plain[0] if len(plain) == 1 else Union[plain],  # noqa: UP007  made at run time
        optional=len(plain) < len(members),
        limits=limits,
        examples=examples,
    )


def recipe_field(path: KeyPath, values: Mapping[str, Any]) -> FieldType | None:
    """What the recipe's field at `path` takes; None where there is no such field.

    Args:
        path: Keys and list positions from the top of the recipe.
        values: The recipe's raw values; their `kind`s say which section stands where.
    """
    found: FieldType | None = field_type(Recipe)
    value: Any = values
    for part in path:
        if found is None:
            return None
        found = child(found, part, value, family=values.get("family"))
        value = item(value, part)
    return found


def child(
    parent: FieldType, part: str | int, value: Any, *, family: object = None
) -> FieldType | None:
    """What the part of a field takes.

    Args:
        parent: The field whose part is asked for.
        part: Key or list position.
        value: The parent's raw value; its `kind` picks among several sections.
        family: The recipe's family, which types its `model` section.
    """
    if not parent.sections:
        return parent.inside()
    section = parent.section(item(value, "kind"))
    if section is Recipe and part == "model":
        return field_type(config_class(str(family))) if family in FAMILIES else None
    if section is None or part not in section.model_fields:
        return None
    return field_type(section.model_fields[str(part)])


def item(value: Any, part: str | int) -> Any:
    """The part of a raw value; None where it has none."""
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def leaves(parent: FieldType, value: Any, *, family: object = None) -> Iterator[KeyPath]:
    """Paths of all fields below that a person can set; branches by the `kind`s in `value`."""
    section = parent.section(item(value, "kind"))
    if section is not None:
        parts = [part for part in section.model_fields if (section, part) != (Recipe, "name")]
    elif (inner := parent.inside()) is not None and inner.sections and isinstance(value, dict):
        parts = list(value)
    else:
        yield ()
        return
    for part in parts:
        below = child(parent, part, value, family=family)
        if below is not None:
            yield from ((part, *rest) for rest in leaves(below, item(value, part)))


def recipe_keys(values: Mapping[str, Any]) -> list[KeyPath]:
    """Every field that a recipe with these families and kinds has."""
    return list(leaves(field_type(Recipe), values, family=values.get("family")))


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _limit(metadata: list[Any], name: str) -> Any:
    found = [getattr(one, name, None) for one in metadata]
    return next((value for value in found if value is not None), None)


def _limit_words(field: FieldType) -> list[str]:
    if field.examples:
        return [f"such as {' or '.join(field.examples)}"]
    return [_LIMIT_WORDS[name].format(value) for name, value in field.limits.items()]


def _type_words(kind: FieldType) -> str:
    if kind.kinds:
        return f"a section whose `kind` is one of {', '.join(kind.kinds)}"
    if kind.sections:
        return f"a section with {', '.join(kind.sections[0].model_fields) or 'nothing in it yet'}"
    if get_origin(kind.annotation) is Literal:
        choices = [str(one) for one in get_args(kind.annotation)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    inner = kind.inside()
    if inner is not None:
        holder = "a list" if get_origin(kind.annotation) is list else "a mapping"
        return f"{holder} (each {inner.words()})"
    return _TYPE_WORDS.get(kind.annotation, "a value")
