"""The form offers every field of a recipe, and whatever it accepts the recipe accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from voxmill.corpus.sources.config import FolderSource
from voxmill.recipe.document import format_document
from voxmill.recipe.form import field_descriptions, form_schema, recipe_values
from voxmill.recipe.overrides import Override
from voxmill.recipe.reading import read_recipe
from voxmill.recipe.recipe import SECTIONS, Recipe

DIGITS = Path(__file__).resolve().parents[3] / "recipes" / "digits.yaml"


@pytest.fixture(scope="module")
def digits() -> Recipe:
    return read_recipe(DIGITS)


def entry(recipe: Recipe, key: str) -> dict[str, object]:
    return next(one["schema"] for one in form_schema(recipe) if one["key"] == key)


def test_the_defaults_are_the_recipe_s_own_values_and_fit_their_schema(digits: Recipe) -> None:
    """A form that nobody touches starts the recipe as it is."""
    for one in form_schema(digits):
        Draft202012Validator.check_schema(one["schema"])
        Draft202012Validator(one["schema"]).validate(one["schema"]["default"])
    overrides = [
        str(Override(path=tuple(one["key"].split(".")), value=one["schema"]["default"]))
        for one in form_schema(digits)
    ]
    assert read_recipe(DIGITS, overrides) == digits


def test_keys_are_unique_and_stand_under_their_section(digits: Recipe) -> None:
    """`section` is the first part of `key`, and sections come in their order."""
    form = form_schema(digits)
    keys = [one["key"] for one in form]
    assert len(keys) == len(set(keys))
    assert all(one["key"].startswith(f"{one['section']}.") for one in form)
    order = [SECTIONS.index(one["section"]) for one in form]
    assert order == sorted(order)


def test_types_limits_and_words_are_those_of_the_field(digits: Recipe) -> None:
    """What pydantic checks, the form checks; the docstring is the help."""
    assert entry(digits, "train.max_steps") == {
        "type": ["integer", "null"],
        "minimum": 1,
        "default": None,
        "description": "Optimizer steps after which to stop, whatever the epochs say.",
    }
    assert entry(digits, "resources.launcher")["enum"] == ["process", "docker", None]
    assert entry(digits, "model.encoder.subsampling")["enum"] == [2, 4, 8]
    speed = entry(digits, "train.augment.speed")
    assert speed["type"] == "array"
    assert speed["items"] == {"type": "number", "exclusiveMinimum": 0}
    assert speed["default"] == [0.9, 1.0, 1.1]
    assert entry(digits, "prepare.split.assign")["type"] == "object"


def test_what_a_section_is_is_no_field(digits: Recipe) -> None:
    """Another `kind` has other fields; a `kind` that is a choice of its own stays."""
    keys = {one["key"] for one in form_schema(digits)}
    assert "source.kind" not in keys
    assert "model.encoder.kind" not in keys
    assert "model.vocabulary.kind" in keys


def test_parts_of_a_mixture_are_fields(tmp_path: Path) -> None:
    """Each part's fields stand under its name."""
    path = tmp_path / "mixed.yaml"
    parts = {"fsdd": {"kind": "folder", "path": "d"}, "made": {"kind": "synthetic"}}
    source = {"kind": "mixture", "parts": parts}
    values = {"title": "Mixed", "family": "ctc", "source": source, "model": {}}
    path.write_text(format_document(values), encoding="utf-8")
    keys = {one["key"] for one in form_schema(read_recipe(path))}
    assert {"source.parts.fsdd.path", "source.parts.made.voices"} <= keys


def test_descriptions_are_one_line_each(digits: Recipe) -> None:
    """Line breaks of the source code do not reach the form."""
    texts = [one["schema"].get("description", "") for one in form_schema(digits)]
    assert not [text for text in texts if "\n" in text or "  " in text]
    assert field_descriptions(FolderSource)["path"].startswith("Folder;")


def test_the_effective_values_read_back_as_the_recipe(digits: Recipe, tmp_path: Path) -> None:
    """What `recipe show` prints is a recipe with every value written out."""
    values = recipe_values(digits)
    assert values.pop("name") == "digits"
    again = tmp_path / "digits.yaml"
    again.write_text(format_document(values), encoding="utf-8")
    assert read_recipe(again) == digits


def test_an_empty_list_is_refused_where_the_recipe_refuses_it(digits: Recipe) -> None:
    """The length of a list is its items'; JSON schema's length of a text would let it pass."""
    speeds = entry(digits, "train.augment.speed")
    assert speeds["minItems"] == 1
    assert not Draft202012Validator(speeds).is_valid([])
