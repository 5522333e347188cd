"""Groups part a test set without losing or counting twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.scoring.error_rates import ErrorCounts, Score, score_utterances, total
from voxmill.scoring.groups import by_duration, by_name, quantile_edges

DURATIONS = st.lists(st.floats(0.1, 60), min_size=1, max_size=40)


def score(errors: int, words: int) -> Score:
    """An utterance with so many substituted words."""
    return Score(words=ErrorCounts(substitutions=errors, reference=words), utterances=1)


def test_speakers_are_pooled_and_sorted():
    """A speaker's rate is that of all their words together."""
    scores = score_utterances(["a b", "c d", "e"], ["a x", "c d", "e"])
    groups = by_name(["zoe", "ann", "zoe"], scores)
    assert [(g.name, g.score.words.errors, g.score.words.reference) for g in groups] == [
        ("ann", 0, 2),
        ("zoe", 1, 3),
    ]


def test_an_utterance_on_an_edge_belongs_to_the_longer_side():
    """Edges are the first duration of the next group."""
    groups = by_duration([0.9, 1.0, 3.0], [score(1, 1)] * 3, edges=(1.0, 2.0))
    assert [(g.name, g.score.utterances) for g in groups] == [
        ("under 1 s", 1),
        ("1 s to 2 s", 1),
        ("2 s and longer", 1),
    ]


def test_stretches_without_utterances_are_left_out():
    """A row of nothing says nothing."""
    groups = by_duration([5.0], [score(0, 2)], edges=(1.0, 2.0))
    assert [g.name for g in groups] == ["2 s and longer"]


def test_without_edges_there_is_one_group():
    """All utterances of one length cannot be parted."""
    assert quantile_edges([2.0, 2.0, 2.0]) == ()
    assert [g.name for g in by_duration([2.0] * 3, [score(0, 1)] * 3, edges=())] == ["all lengths"]


def test_quantile_edges_part_evenly():
    """Four groups of 100 durations spread over 0.1 s to 10 s hold 25 each."""
    seconds = [(i + 1) / 10 for i in range(100)]
    groups = by_duration(seconds, [score(0, 1)] * 100, edges=quantile_edges(seconds))
    assert [g.score.utterances for g in groups] == pytest.approx([25] * 4, abs=1)


def test_names_and_scores_must_match():
    """One name for each score."""
    with pytest.raises(ValueError, match="zip"):
        by_name(["a"], [score(0, 1)] * 2)


@given(DURATIONS, st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_every_utterance_falls_into_exactly_one_stretch(seconds: list[float], groups: int):
    """Whatever the durations, the groups together are the whole."""
    scores = [score(i % 3, 3) for i in range(len(seconds))]
    found = by_duration(seconds, scores, edges=quantile_edges(seconds, groups=groups))
    assert total(group.score for group in found) == total(scores)
    assert len(found) <= groups
