"""Overrides change a recipe as an edit of its file would."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxmill.errors import RecipeError
from voxmill.recipe.document import format_document, format_value, load_document, parse_value
from voxmill.recipe.overrides import Override, parse_override
from voxmill.recipe.reading import read_recipe

DIGITS = Path(__file__).resolve().parents[3] / "recipes" / "digits.yaml"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-_1", min_size=1), inner)
    ),
    max_leaves=8,
)
keys = st.lists(st.text("abcdefgh_", min_size=1), min_size=1, max_size=3)


@given(keys, values)
def test_an_override_reads_back_what_it_was_made_from(path: list[str], value: object) -> None:
    """Any key and any value survive being written as text: 1e-4, "1e-4", "no", line breaks."""
    override = Override(path=tuple(path), value=value)
    assert parse_override(str(override)) == override


@given(values)
def test_a_value_reads_back_with_its_type(value: object) -> None:
    """Text that looks like a number stays text."""
    found = parse_value(format_value(value))
    assert found == value
    assert type(found) is type(value)


@example({"a": "a\x85b"})
@example({"a": "\u2028"})
@given(st.dictionaries(st.text("abc", min_size=1), values, max_size=4))
def test_a_document_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    """`recipe show` prints what `recipe check` reads."""
    path = tmp_path_factory.mktemp("documents") / "a.yaml"
    path.write_text(format_document(document), encoding="utf-8")
    assert load_document(path).values == document


def test_later_overrides_win_and_reach_into_nested_sections() -> None:
    """Dots lead into sections, and the last word counts."""
    overrides = ["train.epochs=3", "train.epochs=4", "model.encoder.d_model=64", 'title="A: b"']
    recipe = read_recipe(DIGITS, overrides)
    assert (recipe.train.epochs, recipe.model.encoder.d_model, recipe.title) == (4, 64, "A: b")


def test_the_file_stays_as_it_was() -> None:
    """An override changes what was read, never the file."""
    before = DIGITS.read_bytes()
    read_recipe(DIGITS, ["train.epochs=3"])
    assert DIGITS.read_bytes() == before


def test_a_section_can_be_replaced_as_a_whole() -> None:
    """A value may be a mapping."""
    recipe = read_recipe(DIGITS, ["evaluate.gates={wer: 0.5}"])
    assert (recipe.evaluate.gates.wer, recipe.evaluate.gates.real_time_factor) == (0.5, None)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.epohs=3", "train.epohs: found an unknown key (--set); did you mean train.epochs?"),
        ("epochs=3", "epochs: found an unknown key (--set); did you mean train.epochs?"),
        ("trian.epochs=3", "did you mean train.epochs?"),
        ("evaluate.wer=1", "did you mean evaluate.gates.wer?"),
        ("train.epochs.x=3", "train.epochs.x: found an unknown key (--set)"),
        ("zzz.qqq=3", "write it as section.key=value, such as train.epochs=3"),
        ("train.epochs", "--set train.epochs: found no key and value"),
        ("train..epochs=3", "--set train..epochs=3: found no key and value"),
        ("train.epochs=[3", "train.epochs: found '[3'; the value must be YAML"),
        ("train.epochs=ten", "train.epochs: found ten (--set); allowed: a whole number"),
        ("name=other", "name: found other; a recipe is named by its file"),
        ("source.kind=folders", "source.kind: found folders (--set); allowed: one of synthetic"),
    ],
)
def test_a_wrong_override_says_what_to_write_instead(override: str, told: str) -> None:
    """Unknown keys name the nearest one; wrong values say what is allowed."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(DIGITS, [override])
    assert told in str(caught.value)


def test_all_wrong_overrides_and_all_mistakes_of_the_file_are_told_at_once(tmp_path: Path) -> None:
    """Nobody has to start twice."""
    path = tmp_path / "a.yaml"
    path.write_text(DIGITS.read_text("utf-8").replace("epochs: 12", "epochs: none"), "utf-8")
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, ["train.epohs=3", "source.min_words=9", "nothing"])
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"train.epohs", "source.min_words", "--set nothing", "train.epochs"}
