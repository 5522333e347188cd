"""Normalisation keeps what is a letter and drops what is typography."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.text.config import TextConfig
from voxmill.text.normalise import normalise

CONFIGS = st.builds(
    TextConfig,
    case=st.sampled_from(["lower", "upper", "keep"]),
    unicode_form=st.sampled_from(["NFC", "NFKC"]),
    strip_punctuation=st.booleans(),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Čuješ li, Đorđe, žar i šum ćilima?", "čuješ li đorđe žar i šum ćilima"),
        ("ČĆŠŽĐ", "čćšžđ"),
        ("c\u030cuvar", "čuvar"),
        ("Don\u2019t  STOP, don\u00b4t!", "don't stop don't"),
        ("'tis the dogs' `day'", "tis the dogs day"),
        ("twenty-one", "twenty one"),
        ("\ufeffzero\tone\u00a0two\r\n", "zero one two"),
        ("co\u00adoperate", "cooperate"),
        ("ǆep", "džep"),
        ("…", ""),
        ("", ""),
    ],
)
def test_known_transcripts_become_what_a_model_should_learn(text: str, expected: str) -> None:
    """Letters stay with their diacritics; signs between words go."""
    assert normalise(text, TextConfig()) == expected


def test_case_and_punctuation_stay_where_the_recipe_keeps_them() -> None:
    """A recipe may train on text as it is written."""
    config = TextConfig(case="keep", strip_punctuation=False)
    assert normalise("Hello,  World!", config) == "Hello, World!"
    assert normalise("straße", TextConfig(case="upper")) == "STRASSE"


@given(text=st.text(max_size=60), config=CONFIGS)
def test_normalising_twice_changes_nothing(text: str, config: TextConfig) -> None:
    """What is in its form already stays as it is."""
    once = normalise(text, config)
    assert normalise(once, config) == once


@given(text=st.text(max_size=60), config=CONFIGS)
def test_words_are_divided_by_single_spaces(text: str, config: TextConfig) -> None:
    """No other white space is left, at no end and never twice."""
    once = normalise(text, config)
    assert once == " ".join(once.split())


@given(word=st.text(alphabet="čćšžđabcxyz", min_size=1), form=st.sampled_from(["NFC", "NFD"]))
def test_letters_survive_however_they_are_encoded(word: str, form: str) -> None:
    """Composed and decomposed spellings of a word are one word."""
    assert normalise(unicodedata.normalize(form, word), TextConfig()) == word
