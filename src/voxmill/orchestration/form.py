"""The form of a DAG: one parameter for each field of the recipe, as its schema says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from voxmill.orchestration.field_param import Param

ALLOW_DIRTY = "run.allow_dirty"
"""The one field that is not the recipe's."""

NOT_FOR_ONE_RUN = frozenset({"schedule"})
"""Sections that say when runs start; a run that is being started has nothing to ask there."""

_DIRTY_SCHEMA: dict[str, JsonValue] = {
    "type": "boolean",
    "default": False,
    "title": "Uncommitted code",
    "description": "Run although the checkout has uncommitted code; the run records it.",
    "section": "run",
}


def params(form: Sequence[Mapping[str, Any]]) -> dict[str, Param]:
    """Airflow parameters by `section.key`, none of them required.

    Args:
        form: The recipe's form in pipeline.json: entries with `key`, `section` and `schema`, a
            JSON schema with the recipe's own value as `default`.
    """
    entries = {
        entry["key"]: _param({"title": _title(entry), **entry["schema"]}, entry["section"])
        for entry in form
        if entry["section"] not in NOT_FOR_ONE_RUN
    }
    return {**entries, ALLOW_DIRTY: _param(_DIRTY_SCHEMA, "run")}


def defaults(form: Sequence[Mapping[str, Any]]) -> dict[str, JsonValue]:
    """The value of each field where nobody changes anything, by `section.key`."""
    return {entry["key"]: entry["schema"].get("default") for entry in form}


def chosen(
    conf: Mapping[str, JsonValue], recipe_values: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """The overrides in a DAG run's configuration: what differs from the recipe.

    Airflow's form sends every field, changed or not. Keys that the recipe does not know stay in:
    whoever opens the run refuses them by name.
    """
    return {
        key: value
        for key, value in conf.items()
        if key != ALLOW_DIRTY and not (key in recipe_values and recipe_values[key] == value)
    }


def _param(schema: Mapping[str, Any], section: str) -> Param:
    rules = {key: value for key, value in schema.items() if key not in {"default", "description"}}
    value = schema.get("default")
    if value is None:  # a field without a value must not make the form refuse to start
        rules = _nullable(rules)
    rules = {**rules, **_drawn(rules)}
    return Param(value, description=schema.get("description"), **{**rules, "section": section})


def _title(entry: Mapping[str, Any]) -> str:
    """The key without its section, in words: Airflow breaks long keys in the middle of a word."""
    within: str = entry["key"].removeprefix(f"{entry['section']}.")
    return within.replace(".", ": ").replace("_", " ")


def _nullable(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The same rules with null allowed, in the shape that Airflow's form draws."""
    kinds = rules.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if not kinds or "null" in kinds:
        return dict(rules)
    choices = {"enum": [*rules["enum"], None]} if "enum" in rules else {}
    return {**rules, "type": [*kinds, "null"], **choices}


def _drawn(rules: Mapping[str, Any]) -> dict[str, Any]:
    """What only Airflow's form reads: a list of choices is a choice of several, and null a word.

    Without it the form draws a list of choices as free text, and null as "null".
    """
    choices = rules.get("items", {}).get("enum")
    if choices:
        return {"examples": list(choices)}
    if None in rules.get("enum", ()):
        return {"values_display": {"null": "not set"}}
    return {}
