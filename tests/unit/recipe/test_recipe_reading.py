"""Recipes are read as they are meant, and refused with every mistake at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from unit.recipe.make_golden import GOLDEN, message
from voxmill.corpus.sources.config import FolderSource, MixtureSource
from voxmill.errors import RecipeError, UsageError
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig
from voxmill.recipe.reading import find_recipe, read_recipe

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
SMALL = "title: Small\nfamily: ctc\nsource: {kind: synthetic}\nmodel: {}\n"


def recipe_file(folder: Path, text: str, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_recipe_is_told_every_mistake_in_these_words(path: Path) -> None:
    """The whole message is held fixed: fields in the file's order, each with found and allowed."""
    assert message(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_is_valid(path: Path) -> None:
    """A shipped recipe reads without a mistake and is named by its file."""
    assert read_recipe(path).name == path.stem


def test_sections_get_the_types_of_family_and_kind(tmp_path: Path) -> None:
    """The family types `model`, `kind` types source and encoder."""
    text = SMALL.replace("{kind: synthetic}", "{kind: folder, path: data}")
    recipe = read_recipe(recipe_file(tmp_path, text))
    assert isinstance(recipe.source, FolderSource)
    assert isinstance(recipe.model, CtcModelConfig)
    assert isinstance(recipe.model.encoder, ConformerEncoder)


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "0.0001", "1E-4", "+1e-04"])
def test_numbers_are_those_of_yaml_1_2(tmp_path: Path, text: str) -> None:
    """1e-4 is a number with or without a point, which it is not in YAML 1.1."""
    path = recipe_file(tmp_path, SMALL + f"train: {{learning_rate: {text}}}\n")
    assert read_recipe(path).train.learning_rate == 1e-4


def test_whole_numbers_do_for_fields_with_fractions_but_not_the_reverse(tmp_path: Path) -> None:
    """`max_seconds: 12` is 12.0; `epochs: 3.0` is refused."""
    path = recipe_file(tmp_path, SMALL + "train: {max_seconds: 12}\n")
    assert read_recipe(path).train.max_seconds == 12.0
    with pytest.raises(RecipeError, match=r"train\.epochs: found 3\.0"):
        read_recipe(path, ["train.epochs=3.0"])


def test_keys_are_text_as_written(tmp_path: Path) -> None:
    """`0: zero` spells the transcript "0" and `no: yes` the transcript "no"."""
    source = "{kind: folder, path: d, spell: {0: zero, no: 'yes', 1.50: x}}"
    recipe = read_recipe(recipe_file(tmp_path, SMALL.replace("{kind: synthetic}", source)))
    assert isinstance(recipe.source, FolderSource)
    assert recipe.source.spell == {"0": "zero", "no": "yes", "1.50": "x"}


def test_an_empty_section_takes_its_defaults(tmp_path: Path) -> None:
    """`verify:` with nothing behind it is an empty section."""
    empty = read_recipe(recipe_file(tmp_path, SMALL + "verify:\ntrain:\n"))
    assert empty == read_recipe(recipe_file(tmp_path, SMALL))


def test_a_mixture_keeps_its_parts_apart(tmp_path: Path) -> None:
    """A part may bear the name of a kind; paths in messages stay those of the file."""
    parts = "{kind: mixture, parts: {synthetic: {kind: synthetic}, folder: {kind: folder}}}"
    path = recipe_file(tmp_path, SMALL.replace("{kind: synthetic}", parts))
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert [problem.field for problem in caught.value.problems] == ["source.parts.folder.path"]
    recipe = read_recipe(path, ["source.parts.folder.path=data"])
    assert isinstance(recipe.source, MixtureSource)
    assert list(recipe.source.parts) == ["synthetic", "folder"]


def test_a_recipe_is_frozen(tmp_path: Path) -> None:
    """Nobody changes a recipe after it was read."""
    recipe = read_recipe(recipe_file(tmp_path, SMALL))
    with pytest.raises(ValidationError, match="frozen"):
        recipe.train.epochs = 3


def test_field_found_and_allowed_are_kept_as_attributes(tmp_path: Path) -> None:
    """Programs read what the message tells people."""
    path = recipe_file(tmp_path, SMALL + "train: {epochs: 0}\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    (problem,) = caught.value.problems
    assert problem.field == "train.epochs"
    assert problem.found == "0 (line 5)"
    assert problem.allowed == "allowed: a whole number, at least 1"
    assert caught.value.exit_code == 64


def test_what_is_not_utf_8_is_said(tmp_path: Path) -> None:
    """A file in another encoding is named with the place of the first wrong byte."""
    path = tmp_path / "small.yaml"
    path.write_bytes("title: čaša\n".encode("cp1250"))
    with pytest.raises(RecipeError, match="not UTF-8 at offset 7"):
        read_recipe(path)


def test_a_missing_recipe_names_those_that_there_are(tmp_path: Path) -> None:
    """A name that is almost right gets the right one."""
    recipe_file(tmp_path, SMALL, "digits.yaml")
    with pytest.raises(UsageError, match=r"found digits\. Did you mean digits\?"):
        find_recipe("digit", tmp_path)
    assert find_recipe("digits", tmp_path) == tmp_path / "digits.yaml"
    with pytest.raises(UsageError, match="No recipe at"):
        read_recipe(tmp_path / "nothing.yaml")


def test_another_suffix_and_a_folder_are_refused(tmp_path: Path) -> None:
    """Only <recipe>.yaml is a recipe."""
    with pytest.raises(RecipeError, match=r"found small\.yml; a recipe file ends in \.yaml"):
        read_recipe(recipe_file(tmp_path, SMALL, "small.yml"))
    with pytest.raises(UsageError, match="Is a directory"):
        read_recipe(tmp_path)


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    """Ten lines of aliases that would stand for a thousand million values are one mistake."""
    rows = "\n".join(
        f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" if n else "k0: &a0 [x, x]"
        for n in range(10)
    )
    with pytest.raises(RecipeError, match="an alias that blows up"):
        read_recipe(recipe_file(tmp_path, rows))


def test_any_other_yaml_reader_sees_the_same_values(tmp_path: Path) -> None:
    """DVC and the office read recipes with readers of their own: for the project's, all agree."""
    for path in RECIPES.glob("*.yaml"):
        plain = yaml.safe_load(path.read_text("utf-8"))
        again = recipe_file(tmp_path, json.dumps(plain), path.name)
        assert read_recipe(again) == read_recipe(path)
