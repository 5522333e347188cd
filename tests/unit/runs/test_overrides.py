"""Overrides in a recipe file: the value changes, everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from voxmill.errors import RecipeError
from voxmill.runs.overrides import write_overrides

TEXT = """\
# On top.
title: 'A toy'   # quoted

train:
  epochs: 2  # twice through
  learning_rate: 2.0e-3
  steps:
    - 1
    - 2
verify: {}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(TEXT)
    return path


def test_one_value_changes_one_line(recipe: Path) -> None:
    """Comments, quotes, order and the other numbers' spelling stay."""
    write_overrides(recipe, {"train.epochs": 7})
    assert recipe.read_text() == TEXT.replace("epochs: 2 ", "epochs: 7 ")


def test_no_override_touches_no_byte(recipe: Path) -> None:
    """An untouched recipe is the commit's own file."""
    recipe.write_text("a:   1\n")
    write_overrides(recipe, {})
    assert recipe.read_text() == "a:   1\n"


def test_new_sections_lists_and_nothing_can_be_set(recipe: Path) -> None:
    """Any JSON value goes in, at any depth."""
    write_overrides(recipe, {"probe.a.b": [1, 2.5], "verify.c": None, "title": "Words"})
    values = yaml.safe_load(recipe.read_text())
    assert values["probe"] == {"a": {"b": [1, 2.5]}}
    assert values["verify"] == {"c": None}
    assert values["title"] == "Words"


def test_a_key_below_a_plain_value_is_a_mistake_with_its_name(recipe: Path) -> None:
    """All such mistakes are told at once, and the file stays as it is."""
    with pytest.raises(RecipeError) as mistake:
        write_overrides(recipe, {"title.a": 1, "train.epochs.b": 2})
    assert [problem.field for problem in mistake.value.problems] == ["title.a", "train.epochs.b"]
    assert recipe.read_text() == TEXT
