"""Error rates against hand-made cases and an edit distance of our own, without jiwer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import DataError
from voxmill.scoring.error_rates import (
    ErrorCounts,
    Score,
    score_utterance,
    score_utterances,
    total,
)

SENTENCES = st.lists(st.sampled_from(["one", "two", "three", "o", "é"]), max_size=8).map(" ".join)


def edit_distance(said: list[str] | str, heard: list[str] | str) -> int:
    """Levenshtein's distance by its textbook recurrence, one row at a time."""
    row = list(range(len(heard) + 1))
    for i, left in enumerate(said, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(heard, start=1):
            substituted = diagonal + (left != right)
            diagonal = row[j]
            row[j] = min(substituted, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def test_each_kind_of_error_is_counted_by_itself():
    """Of `one two three four ten`, one became won, three was lost, five invented."""
    score = score_utterance("one two three four ten", "won two four ten five")
    assert score.words == ErrorCounts(substitutions=1, deletions=1, insertions=1, reference=5)
    assert score.wer == pytest.approx(3 / 5)


def test_a_lost_word_boundary_is_one_wrong_character():
    """Spaces count: `ice cream` heard as `icecream` loses one of nine characters."""
    score = score_utterance("ice cream", "icecream")
    assert score.characters == ErrorCounts(deletions=1, reference=9)
    assert score.words.errors == 2


def test_many_insertions_push_the_rate_above_one():
    """An error rate is no percentage of anything: there is no upper bound."""
    assert score_utterance("yes", "no no no").wer == 3.0


def test_an_empty_reference_counts_its_insertions_and_itself():
    """Where nothing was said, what is heard is an insertion and the rate stays finite."""
    score = score_utterance("", "ghost words")
    assert score.words == ErrorCounts(insertions=2, reference=0)
    assert score.empty_references == 1
    assert score.wer == 2.0


def test_silence_heard_as_silence_is_no_error():
    """Both sides empty: nothing to count but the utterance."""
    score = score_utterance("  ", "")
    assert (score.wer, score.cer, score.utterances, score.empty_references) == (0.0, 0.0, 1, 1)


def test_an_empty_hypothesis_deletes_every_word():
    """Hearing nothing is as wrong as hearing everything wrongly."""
    assert score_utterance("a b c", "").words == ErrorCounts(deletions=3, reference=3)


def test_white_space_of_any_kind_separates_words():
    """Tabs, line ends and doubled blanks are no errors."""
    assert score_utterance(" a\tb\n c ", "a b  c").words == ErrorCounts(reference=3)


def test_case_and_diacritics_are_compared_as_they_stand():
    """Scoring normalises nothing: č is not c."""
    assert score_utterance("čovjek Kuća", "covjek kuća").words.substitutions == 2


def test_a_total_divides_once_by_all_words():
    """1 of 1 and 0 of 9 make 1 of 10, not the mean of 100 % and 0 %."""
    scores = score_utterances(["a", "b c d e f g h i j"], ["x", "b c d e f g h i j"])
    assert total(scores).wer == pytest.approx(0.1)
    assert total(scores).utterances == 2


def test_the_total_of_nothing_is_nothing():
    """No utterances: no errors, no words."""
    assert total([]) == Score()
    assert score_utterances([], []) == ()


def test_unequal_numbers_of_texts_are_refused():
    """A missing hypothesis must not shift all others by one."""
    with pytest.raises(DataError, match="2 references but 1 hypotheses"):
        score_utterances(["a", "b"], ["a"])


@given(SENTENCES, SENTENCES)
@settings(max_examples=150, deadline=None)
def test_errors_equal_the_edit_distance(said: str, heard: str):
    """Counts add up to the smallest number of edits, of words and of characters."""
    score = score_utterance(said, heard)
    assert score.words.errors == edit_distance(said.split(), heard.split())
    assert score.characters.errors == edit_distance(said, heard)


@given(SENTENCES, SENTENCES)
@settings(max_examples=100, deadline=None)
def test_counts_account_for_every_word_of_both_sides(said: str, heard: str):
    """Hits, substitutions and deletions make the reference; with insertions the hypothesis."""
    words = score_utterance(said, heard).words
    assert words.hits + words.substitutions + words.deletions == len(said.split())
    assert words.hits + words.substitutions + words.insertions == len(heard.split())


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_text_has_no_errors_against_itself(text: str):
    """wer(x, x) = cer(x, x) = 0, for any text at all."""
    score = score_utterance(text, text)
    assert (score.words.errors, score.characters.errors) == (0, 0)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), max_size=6), st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_a_total_does_not_depend_on_how_utterances_are_parted(pairs: list, cut: int):
    """Adding is associative: a set scored in two parts has the counts of the whole."""
    scores = score_utterances([said for said, _ in pairs], [heard for _, heard in pairs])
    assert total(scores[:cut]) + total(scores[cut:]) == total(scores)
    assert total(scores).words.errors == sum(score.words.errors for score in scores)
