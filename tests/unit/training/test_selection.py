"""The subset and the length caps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.training.config import TrainConfig
from voxmill.training.selection import Extent, first_in_hash_order, fits, select, shortened


def utterance(number: int, *, samples: int = 16000, labels: int = 10) -> PreparedUtterance:
    return PreparedUtterance(
        id=f"u{number:03d}",
        split="train",
        shard="00000.pcm",
        offset_samples=0,
        samples=samples,
        text="x" * labels,
        text_original="x" * labels,
        labels=tuple(range(labels)),
        speaker="s",
        subset="all",
        part="p",
    )


def test_a_larger_subset_holds_every_smaller_one_in_the_order_given():
    """Amounts of data are compared on nested sets."""
    everybody = [utterance(number) for number in range(50)]
    subsets = [first_in_hash_order(everybody, count) for count in (5, 20, 50, None)]
    assert [len(subset) for subset in subsets] == [5, 20, 50, 50]
    for smaller, larger in pairwise(subsets):
        assert {u.id for u in smaller} <= {u.id for u in larger}
    assert subsets[1] == sorted(subsets[1], key=lambda u: u.id)
    assert subsets[0] != everybody[:5]


def test_the_subset_does_not_depend_on_the_order_of_the_manifest():
    """Only the ids decide."""
    everybody = [utterance(number) for number in range(50)]
    forwards = first_in_hash_order(everybody, 10)
    backwards = first_in_hash_order(everybody[::-1], 10)
    assert {u.id for u in forwards} == {u.id for u in backwards}


@pytest.mark.parametrize("too_long", ["skip", "truncate"])
def test_whatever_is_within_the_limits_is_left_alone(too_long):
    """Exactly at the limit is within it."""
    config = TrainConfig(max_seconds=2.0, max_labels=20, too_long=too_long)
    at_limit = utterance(1, samples=32000, labels=20)
    selection = select([at_limit], config, sample_rate_hz=16000)
    assert selection.utterances == (at_limit,)
    assert (selection.skipped, selection.truncated) == (0, 0)


def test_skip_leaves_out_and_counts():
    """Too many samples or too many labels: both count."""
    config = TrainConfig(max_seconds=1.0, max_labels=20)
    given_ = [utterance(1), utterance(2, samples=16001), utterance(3, labels=21)]
    selection = select(given_, config, sample_rate_hz=16000)
    assert [u.id for u in selection.utterances] == ["u001"]
    assert (selection.skipped, selection.truncated) == (2, 0)


def test_truncate_cuts_audio_and_labels_in_one_proportion_and_counts():
    """Half the seconds keep half the labels, and the first ones."""
    config = TrainConfig(max_seconds=1.0, max_labels=20, too_long="truncate")
    (cut,) = (
        selection := select([utterance(1, samples=32000, labels=12)], config, sample_rate_hz=16000)
    ).utterances
    assert (cut.samples, cut.labels) == (16000, tuple(range(6)))
    assert (selection.skipped, selection.truncated) == (0, 1)


@given(
    samples=st.integers(1, 10**6),
    labels=st.integers(0, 500),
    max_samples=st.integers(1, 10**6),
    max_labels=st.integers(1, 500),
)
def test_a_shortened_utterance_is_within_both_limits_and_never_grows(
    samples, labels, max_samples, max_labels
):
    """Whatever the lengths, and something of both is left."""
    whole, limit = (
        Extent(samples=samples, labels=labels),
        Extent(samples=max_samples, labels=max_labels),
    )
    short = shortened(whole, limit)
    assert fits(short, limit)
    assert 1 <= short.samples <= samples
    assert min(1, labels) <= short.labels <= labels
    if fits(whole, limit):
        assert short == whole
