"""Batches of like length under a budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.training.batching import BucketPlan

DURATIONS = st.lists(st.floats(0.1, 20.0), min_size=1, max_size=200)


def librispeech_like(count: int) -> np.ndarray:
    """Seconds: most between 12 and 16, a flat rest from 1 to 17."""
    random = np.random.default_rng(7)
    long = random.normal(14.3, 1.2, count)
    durations = np.where(random.random(count) < 0.7, long, random.uniform(1.4, 14.0, count))
    return np.clip(durations, 1.0, 17.0)


@settings(max_examples=60, deadline=None)
@given(durations=DURATIONS, buckets=st.integers(1, 120), most=st.integers(1, 20))
def test_an_epoch_holds_every_utterance_once_within_budget_and_count(durations, buckets, most):
    """No utterance is lost or repeated; padded seconds and counts keep their limits."""
    plan = BucketPlan(durations, 25.0, most, buckets, seed=3)
    for epoch in (0, 1):
        batches = plan.batches(epoch)
        assert len(batches) == plan.batch_count
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(durations)))
        for batch in batches:
            assert len(batch) <= most
            assert len(batch) * max(durations[index] for index in batch) <= 25.0 + 1e-9


def test_the_same_seed_and_epoch_give_the_same_batches_in_another_process_or_order():
    """A plan is a function of its arguments and the epoch, not of what was asked before."""
    first, second = (BucketPlan(librispeech_like(500), 120, 64, 100, seed=9) for _ in range(2))
    second.batches(0)
    second.batches(7)
    for one, other in zip(first.batches(3), second.batches(3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_and_seeds_differ_in_order_and_in_who_meets_whom():
    """Each epoch shuffles batches and their members anew."""
    plan = BucketPlan(librispeech_like(2000), 120, 64, 20, seed=9)
    other_seed = BucketPlan(librispeech_like(2000), 120, 64, 20, seed=10)
    together = [
        {frozenset(batch.tolist()) for batch in batches}
        for batches in (plan.batches(0), plan.batches(1), other_seed.batches(0))
    ]
    assert len(together[0] & together[1]) < 0.05 * plan.batch_count
    assert len(together[0] & together[2]) < 0.05 * plan.batch_count
    lengths = [len(batch) for batch in plan.batches(0)]
    assert lengths != sorted(lengths, reverse=True)


@pytest.mark.parametrize("count", [3000, 28000])
def test_librispeech_like_lengths_pad_little_and_fill_evenly(count):
    """At most 3.5 % padding and 1.1 between the largest and the mean batch."""
    figures = BucketPlan(librispeech_like(count), 300, 256, 100, seed=1).figures()
    assert figures.padding_share <= 0.035
    assert figures.largest_to_mean <= 1.1


def test_an_utterance_above_the_budget_is_a_batch_of_its_own_and_is_named(caplog):
    """It is trained on and a warning counts it."""
    plan = BucketPlan([1.0, 2.0, 50.0], 10.0, 8, 10, seed=1)
    assert [2] in [batch.tolist() for batch in plan.batches(0)]
    assert "1 of 3 utterances are longer than the budget of 10.0 s" in caplog.text


def test_no_utterances_make_no_batches():
    """An empty split is the caller's to refuse."""
    assert BucketPlan([], 10.0, 8, 10, seed=1).batches(0) == []


def test_an_epoch_is_laid_out_once_however_late_the_position():
    """Resuming walks through nothing: any position is one look into the same layout."""
    plan = BucketPlan(librispeech_like(28000), 120, 64, 100, seed=1)
    assert plan.batches(40) is plan.batches(40)
    assert len(plan.batches(40)[plan.batch_count - 1])
