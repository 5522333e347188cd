"""Tokenizers: every text comes back, ids mean the same to transformers, limits are told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import DataError
from voxmill.text.tokenizer import (
    BLANK_ID,
    UNKNOWN_ID,
    TextTokenizer,
    round_trip_failures,
    train_bpe,
    train_characters,
    train_words,
    unknown_share,
    write_folder,
)

SENTENCES = [
    "one two three four five",
    "šta je čovek rekao đaku",
    "the other brother's weather",
    "seven seventeen seventy",
] * 3
words = st.text(alphabet="abcčćšžđ'", min_size=1, max_size=6)
texts = st.lists(words, min_size=1, max_size=5).map(" ".join)


@given(st.lists(texts, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_text_that_the_characters_were_taken_from_comes_back(corpus: list[str]) -> None:
    """Characters lose nothing: encode then decode is the identity on the training texts."""
    tokenizer = train_characters(corpus)
    assert round_trip_failures(tokenizer, corpus) == []
    assert unknown_share(tokenizer, corpus) == 0


@given(texts)
@settings(max_examples=40, deadline=None)
def test_any_text_of_known_characters_comes_back_from_bpe(text: str) -> None:
    """BPE may cut as it likes, but joining the pieces gives the text."""
    tokenizer = train_bpe(["abcčćšžđ' abc ab čć", text, "abba cabab"], _possible([text]))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def _possible(extra: list[str]) -> int:
    corpus = ["abcčćšžđ' abc ab čć", *extra, "abba cabab"]
    try:
        train_bpe(corpus, 10_000)
    except DataError as error:
        return int(str(error).rsplit("give at most ", 1)[1].split(".")[0])
    raise AssertionError("10000 tokens out of three sentences")


@given(st.lists(texts, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_text_of_known_words_comes_back_word_by_word(corpus: list[str]) -> None:
    """Each word is one token, wherever it stands."""
    tokenizer = train_words(corpus)
    assert round_trip_failures(tokenizer, corpus) == []
    assert unknown_share(tokenizer, corpus) == 0
    for text in corpus:
        assert len(tokenizer.encode(text)) == len(text.split())
    assert tokenizer.size == 2 + len({word for text in corpus for word in text.split()})


def test_an_unknown_word_is_unknown_as_a_whole() -> None:
    """Not even its known beginning is written."""
    tokenizer = train_words(["seven six"])
    assert tokenizer.encode("six seventeen") == (tokenizer.encode("six")[0], UNKNOWN_ID)
    assert unknown_share(tokenizer, ["six seventeen"]) > 0
    with pytest.raises(DataError, match="hold no word"):
        train_words(["", " "])


def test_blank_is_zero_and_unknown_is_one() -> None:
    """CTC and transformers agree on the blank by its id."""
    tokenizer = train_characters(["ab"])
    assert tokenizer.tokens[:2] == ("<pad>", "<unk>")
    assert (BLANK_ID, UNKNOWN_ID) == (0, 1)
    assert tokenizer.encode("axb") == (3 - 1, UNKNOWN_ID, 3)


def test_single_words_still_give_a_token_for_the_space() -> None:
    """Training strings single words together, so the space must be writable."""
    tokenizer = train_characters(["zero", "one"])
    assert tokenizer.decode(tokenizer.encode("one zero")) == "one zero"


def test_the_folder_means_the_same_to_transformers(tmp_path) -> None:
    """ParakeetTokenizer encodes alike, and collapses repeats and blanks when it decodes."""
    from transformers import AutoTokenizer

    for tokenizer in (
        train_characters(SENTENCES),
        train_bpe(SENTENCES, 50),
        train_words(SENTENCES),
    ):
        write_folder(tokenizer, tmp_path)
        theirs, ours = AutoTokenizer.from_pretrained(tmp_path), TextTokenizer.from_folder(tmp_path)
        assert type(theirs).__name__ == "ParakeetTokenizer"
        for text in SENTENCES:
            labels = list(ours.encode(text))
            assert theirs(text, add_special_tokens=False).input_ids == labels
            spoken = [one for label in labels for one in (label, label, BLANK_ID)]
            assert theirs.decode(spoken) == text == ours.decode(labels)


def test_the_same_texts_give_the_same_folder(tmp_path) -> None:
    """Training is deterministic, so an unchanged prepare stage writes unchanged files."""
    for place in ("a", "b"):
        write_folder(train_bpe(SENTENCES, 50), tmp_path / place)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_too_large_a_bpe_vocabulary_names_the_largest_possible_one() -> None:
    """The message holds the number that works, and that number really works."""
    with pytest.raises(DataError, match=r"asked.*give at most \d+") as caught:
        train_bpe(SENTENCES, 5000)
    largest = int(str(caught.value).rsplit("give at most ", 1)[1].split(".")[0])
    assert train_bpe(SENTENCES, largest).size == largest


def test_too_small_a_bpe_vocabulary_names_what_the_characters_need() -> None:
    """A vocabulary that cannot hold the alphabet is refused, not silently enlarged."""
    with pytest.raises(DataError, match=r"alone need (\d+)") as caught:
        train_bpe(SENTENCES, 8)
    smallest = int(str(caught.value).rsplit("alone need ", 1)[1].split(".")[0])
    assert train_bpe(SENTENCES, smallest).size == smallest


def test_unknown_characters_are_counted_as_a_share_of_all() -> None:
    """Two strangers in eight characters are a quarter."""
    tokenizer = train_characters(["abc def"])
    assert unknown_share(tokenizer, ["abxyc fa"]) == 0.25
    assert unknown_share(tokenizer, []) == 0
    assert round_trip_failures(tokenizer, ["abc", "abx"]) == ["abx"]


def test_texts_without_a_character_are_refused() -> None:
    """An empty vocabulary would train to nothing."""
    with pytest.raises(DataError, match="hold no character"):
        train_characters(["", "  "])


@pytest.mark.parametrize("content", [None, "{ not json"])
def test_a_folder_that_cannot_be_read_says_which_and_what_to_do(tmp_path, content) -> None:
    """Missing and broken files alike are data errors with the path and the remedy."""
    if content:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=r"Tokenizer .*Run prepare"):
        TextTokenizer.from_folder(tmp_path)
