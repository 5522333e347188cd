"""A recipe as a flat form: one JSON schema for each field, as Airflow's parameters take them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any, Literal, get_args, get_origin

from voxmill.recipe.document import KeyPath, dotted
from voxmill.recipe.fields import FieldType, child, field_type, item, leaves, recipe_field
from voxmill.recipe.recipe import SECTIONS, Recipe
from voxmill.section import Section

_JSON_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}
_JSON_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}
_LENGTHS = {
    "array": {"minLength": "minItems", "maxLength": "maxItems"},
    "object": {"minLength": "minProperties", "maxLength": "maxProperties"},
}
"""JSON schema ignores the length of a text where there is no text."""


def form_schema(recipe: Recipe) -> list[dict[str, Any]]:
    """The fields of all sections in their order.

    Returns:
        For each field `key` (`train.epochs`, as an override names it), `section`, and `schema`:
        JSON schema with `type`, limits, `description` and the recipe's own value as `default`.
        What a section is (its `kind`) is no field: another kind has other fields.
    """
    values = recipe_values(recipe)
    return [
        {"key": dotted(path), "section": str(path[0]), "schema": _schema(path, values)}
        for path in _form_keys(values)
    ]


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """All values of a recipe, defaults included, as plain JSON values."""
    return recipe.model_dump(mode="json")


@cache
def field_descriptions(section: type[Section]) -> dict[str, str]:
    """The docstring of each field of a section class, on one line.

    Pydantic can read them too (`use_attribute_docstrings`), but does so whenever a class is made,
    which costs every start of `voxmill` what only the form needs.
    """
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__):
        if owner is not Section and issubclass(owner, Section):
            found |= _docstrings(owner)
    return found


def _form_keys(values: dict[str, Any]) -> list[KeyPath]:
    keys: list[KeyPath] = []
    for section in SECTIONS:
        top = child(field_type(Recipe), section, values, family=values["family"])
        if top is not None:
            keys += [(section, *rest) for rest in leaves(top, values[section])]
    return [path for path in keys if not _is_tag(path, values)]


def _is_tag(path: KeyPath, values: dict[str, Any]) -> bool:
    field = recipe_field(path, values)
    choices = (
        get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    )
    return path[-1] == "kind" and len(choices) == 1


def _schema(path: KeyPath, values: dict[str, Any]) -> dict[str, Any]:
    field = recipe_field(path, values)
    if field is None:
        raise KeyError(path)
    value: Any = values
    for part in path:
        value = item(value, part)
    schema = _type_schema(field)
    if field.optional:
        schema["type"] = [schema["type"], "null"]
        schema |= {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    description = _description(path, values)
    return schema | {"default": value} | ({"description": description} if description else {})


def _type_schema(field: FieldType) -> dict[str, Any]:
    limits = {_JSON_LIMITS[name]: value for name, value in field.limits.items()}
    inner = field.inside()
    if get_origin(field.annotation) is Literal:
        choices = list(get_args(field.annotation))
        return {"type": _JSON_TYPES[type(choices[0])], "enum": choices}
    if inner is None or (inner.sections and get_origin(field.annotation) is dict):
        return {"type": _JSON_TYPES.get(field.annotation, "object")} | limits
    if get_origin(field.annotation) is list:
        return {"type": "array", "items": _type_schema(inner)} | _of(limits, "array")
    return {"type": "object", "additionalProperties": _type_schema(inner)} | _of(limits, "object")


def _of(limits: dict[str, Any], kind: str) -> dict[str, Any]:
    return {_LENGTHS[kind].get(name, name): value for name, value in limits.items()}


def _description(path: KeyPath, values: dict[str, Any]) -> str:
    parent = recipe_field(path[:-1], values)
    holder: Any = values
    for part in path[:-1]:
        holder = item(holder, part)
    section = parent.section(item(holder, "kind")) if parent and parent.sections else None
    return field_descriptions(section).get(str(path[-1]), "") if section else ""


def _docstrings(owner: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    found: dict[str, str] = {}
    if not isinstance(body, ast.ClassDef):
        return found
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            name, words = field.target, text.value
            if isinstance(name, ast.Name) and isinstance(words, ast.Constant):
                found[name.id] = " ".join(str(words.value).split())
    return found
