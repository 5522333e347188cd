"""Bootstrap intervals: reproducible, sane at the edges, and as wide as statistics says."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import DataError
from voxmill.scoring import confidence
from voxmill.scoring.confidence import Interval, bootstrap_interval

COUNTS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=30)


def test_the_interval_has_the_width_that_theory_gives():
    """One word an utterance is a coin: 95 % lie within 1.96 standard errors of the rate."""
    errors = [1] * 80 + [0] * 320
    interval = bootstrap_interval(errors, [1] * 400, samples=4000, seed=7)
    half = 1.96 * math.sqrt(0.2 * 0.8 / 400)
    assert interval.low == pytest.approx(0.2 - half, abs=0.006)
    assert interval.high == pytest.approx(0.2 + half, abs=0.006)


def test_the_interval_agrees_with_a_plain_loop():
    """The vectorised draws mean the same as choosing utterances one by one."""
    generator = random.Random(3)
    errors = [generator.randrange(4) for _ in range(60)]
    words = [generator.randrange(3, 12) for _ in range(60)]
    rates = []
    for _ in range(4000):
        drawn = generator.choices(range(60), k=60)
        rates.append(sum(errors[i] for i in drawn) / sum(words[i] for i in drawn))
    rates.sort()
    interval = bootstrap_interval(errors, words, samples=4000, seed=1)
    assert interval.low == pytest.approx(rates[100], abs=0.012)
    assert interval.high == pytest.approx(rates[3899], abs=0.012)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    """A figure in a report can be made again."""
    errors, words = [0, 1, 2, 0, 3], [5, 6, 4, 8, 7]
    first = bootstrap_interval(errors, words, seed=1)
    assert first == bootstrap_interval(errors, words, seed=1)
    assert first != bootstrap_interval(errors, words, seed=2)


def test_drawing_in_slices_covers_all_samples(monkeypatch: pytest.MonkeyPatch):
    """A test set too large for one array is drawn in several, with an interval as good."""
    errors, words = np.arange(50) % 3, np.full(50, 6)
    whole = bootstrap_interval(errors, words, samples=999)
    monkeypatch.setattr(confidence, "_DRAWS_AT_ONCE", 50 * 100)
    assert bootstrap_interval(errors, words, samples=999) == whole


def test_a_perfect_set_has_no_width():
    """Without a single error every draw is perfect."""
    assert bootstrap_interval([0, 0, 0], [4, 5, 6]) == Interval(0.0, 0.0)


def test_empty_references_do_not_divide_by_zero():
    """A draw of nothing but silent utterances still has a rate."""
    interval = bootstrap_interval([2, 0], [0, 4])
    assert math.isfinite(interval.low)
    assert math.isfinite(interval.high)


@pytest.mark.parametrize(("errors", "words"), [([], []), ([1, 2], [3]), ([[1]], [[2]])])
def test_counts_that_do_not_match_are_refused(errors: list, words: list):
    """One number of errors and one of words for each utterance, and at least one utterance."""
    with pytest.raises(DataError, match="Bootstrap"):
        bootstrap_interval(errors, words)


@given(COUNTS)
@settings(max_examples=50, deadline=None)
def test_the_interval_lies_between_the_best_and_the_worst_utterance(counts: list):
    """Pooled rates cannot leave the range of the single ones."""
    errors, words = [c[0] for c in counts], [c[1] for c in counts]
    interval = bootstrap_interval(errors, words, samples=100)
    rates = [wrong / said for wrong, said in counts]
    assert min(rates) - 1e-9 <= interval.low <= interval.high <= max(rates) + 1e-9
