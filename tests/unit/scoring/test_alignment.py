"""Alignments are faithful to both texts, and confusions are counted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.scoring.alignment import WordPair, align_words, most_frequent_confusions

SENTENCES = st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=8).map(" ".join)


def test_an_alignment_pairs_words_in_order():
    """Equal, substituted, deleted and inserted words each keep their place."""
    assert align_words("one two three four ten", "won two four ten five") == (
        WordPair("substitute", "one", "won"),
        WordPair("equal", "two", "two"),
        WordPair("delete", "three", ""),
        WordPair("equal", "four", "four"),
        WordPair("equal", "ten", "ten"),
        WordPair("insert", "", "five"),
    )


def test_an_empty_side_makes_only_insertions_or_deletions():
    """Nothing said or nothing heard still aligns."""
    assert align_words("", "a b") == (WordPair("insert", "", "a"), WordPair("insert", "", "b"))
    assert align_words("a", "") == (WordPair("delete", "a", ""),)
    assert align_words("", "") == ()


@given(SENTENCES, SENTENCES)
@settings(max_examples=120, deadline=None)
def test_an_alignment_spells_both_texts(said: str, heard: str):
    """Nothing is lost or invented on either side, and kinds tell the truth about their words."""
    pairs = align_words(said, heard)
    assert " ".join(pair.reference for pair in pairs if pair.reference) == said
    assert " ".join(pair.hypothesis for pair in pairs if pair.hypothesis) == heard
    for pair in pairs:
        assert (pair.kind == "equal") == (pair.reference == pair.hypothesis)
        assert (pair.kind == "insert") == (pair.reference == "")
        assert (pair.kind == "delete") == (pair.hypothesis == "")


def test_the_most_frequent_confusion_comes_first_and_ties_are_alphabetical():
    """The order depends on nothing but the counts and the words."""
    pairs = [
        *align_words("five nine five", "nine nine nine"),
        *align_words("two", ""),
        *align_words("", "a"),
        *align_words("one", "one"),
    ]
    confusions = most_frequent_confusions(pairs)
    assert [(c.pair.reference, c.pair.hypothesis, c.count) for c in confusions] == [
        ("five", "nine", 2),
        ("", "a", 1),
        ("two", "", 1),
    ]
    assert most_frequent_confusions(pairs, limit=1) == confusions[:1]
