"""Each epoch hears every utterance once, within the caps, however it strings them together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.hearing import mel_hearing
from voxmill.families.ctc.takes import Take, TakePlan
from voxmill.signal.mel import MelSettings
from voxmill.training.config import AugmentConfig, TrainConfig

HEARING = mel_hearing(MelSettings.for_rate(8000, 40), 4)
SPEEDS = [0.8, 1.0, 1.25]


def utterance(number: int, seconds: float, labels: tuple[int, ...]) -> PreparedUtterance:
    return PreparedUtterance(
        id=f"u{number}", split="train", shard="00000.pcm", offset_samples=0,
        samples=int(seconds * 8000), text="x", text_original="x", labels=labels,
        speaker="s", subset="all", part="p",
    )  # fmt: skip


def plan(utterances, *, concatenate: int = 1, seed: int = 1, **caps) -> TakePlan:
    train = TrainConfig(
        seed=seed, augment=AugmentConfig(speed=SPEEDS, concatenate=concatenate), **caps
    )
    return TakePlan(utterances, train, hearing=HEARING, separator_labels=1)


utterance_lists = st.lists(
    st.tuples(st.floats(0.4, 3.0), st.integers(1, 9)), min_size=1, max_size=25
).map(lambda rows: [utterance(i, s, tuple(range(2, 2 + n))) for i, (s, n) in enumerate(rows)])


@given(utterance_lists, st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_utterance_is_heard_exactly_once_an_epoch(utterances, longest, epoch) -> None:
    """Nothing is lost and nothing is doubled by stringing together."""
    takes = plan(utterances, concatenate=longest, max_seconds=6.0).takes(epoch)
    heard = sorted(index for take in takes for index in take.members)
    assert heard == list(range(len(utterances)))
    assert max(len(take.members) for take in takes) <= longest


@given(utterance_lists, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_caps_hold_for_what_is_strung_together_and_slowed_down(utterances, longest) -> None:
    """Seconds as played with pauses, and labels with separators, stay within the caps."""
    takes = plan(utterances, concatenate=longest, max_seconds=3.0, max_labels=12).takes(0)
    for take in takes:
        labels = sum(len(utterances[index].labels) for index in take.members)
        assert take.seconds <= 3.0
        assert labels + len(take.members) - 1 <= 12
        assert len(take.pauses) == len(take.members) - 1


@given(utterance_lists)
@settings(max_examples=40, deadline=None)
def test_seconds_are_those_of_the_speeds_and_pauses_drawn(utterances) -> None:
    """The duration that batches are planned by is the duration that will be played."""
    for take in plan(utterances, concatenate=3, max_seconds=30.0).takes(0):
        played = sum(
            utterances[index].samples / 8000 / speed
            for index, speed in zip(take.members, take.speeds, strict=True)
        )
        assert abs(take.seconds - played - sum(take.pauses)) < 1e-9


def test_no_speed_makes_ctc_impossible() -> None:
    """Ten labels in 0.40 s at 40 ms a frame fit exactly: such an utterance is not sped up."""
    tight = [utterance(i, 0.4, tuple(range(2, 12))) for i in range(50)]
    speeds = {take.speeds[0] for take in plan(tight).takes(0)}
    assert speeds == {0.8, 1.0}


def test_repeats_count_as_frames() -> None:
    """`aa` needs a blank between: five pairs of twins need ten frames less one."""
    twins = [utterance(i, 0.36, (2, 2, 3, 3, 4, 4)) for i in range(50)]
    assert {take.speeds[0] for take in plan(twins).takes(0)} == {0.8, 1.0}


def test_epochs_differ_and_each_is_the_same_whenever_asked() -> None:
    """A resumed run hears the same; another epoch and another seed do not."""
    utterances = [utterance(i, 1.0, (2, 3)) for i in range(30)]
    drawn = plan(utterances, concatenate=4)
    again = plan(utterances, concatenate=4)
    first: list[Take] = drawn.takes(0)
    drawn.takes(5)
    assert first == drawn.takes(0) == again.takes(0)
    assert first != drawn.takes(1)
    assert first != plan(utterances, concatenate=4, seed=2).takes(0)


def test_all_speeds_and_group_sizes_come_up() -> None:
    """Drawn evenly: over 600 utterances each speed has about a third."""
    utterances = [utterance(i, 1.0, (2, 3)) for i in range(600)]
    takes = plan(utterances, concatenate=3, max_seconds=30.0).takes(0)
    speeds = np.array([speed for take in takes for speed in take.speeds])
    for speed in SPEEDS:
        assert 0.25 < (speeds == speed).mean() < 0.42
    assert {len(take.members) for take in takes} == {1, 2, 3}


@given(utterance_lists, st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_edges_count_as_duration_and_respect_the_cap(utterances, longest, epoch) -> None:
    """Noise before and after is put where there is room for it, and changes nothing else."""
    padded, bare = (
        TakePlan(
            utterances,
            TrainConfig(
                max_seconds=4.0, augment=AugmentConfig(concatenate=longest, pad_seconds=seconds)
            ),
            hearing=HEARING, separator_labels=1,
        ).takes(epoch)
        for seconds in (0.5, 0.0)
    )  # fmt: skip
    for with_edges, without in zip(padded, bare, strict=True):
        assert with_edges.members == without.members
        assert all(0 <= edge <= 0.5 for edge in with_edges.edges)
        assert with_edges.seconds == pytest.approx(without.seconds + sum(with_edges.edges))
        assert with_edges.seconds <= 4.0
        assert without.edges == (0.0, 0.0)
        if without.seconds <= 3.0:
            assert sum(with_edges.edges) > 0
