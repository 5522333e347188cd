"""What is heard in one epoch: which utterances, strung together how, at which speed.

A take is one training example. Every utterance stands in exactly one take of each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.batch import frames_needed
from voxmill.families.ctc.hearing import Hearing
from voxmill.signal.augment import draw_pauses, epoch_generator
from voxmill.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Take:
    """One training example of one epoch."""

    members: tuple[int, ...]
    """Index of each utterance, in the order heard."""
    speeds: tuple[float, ...]
    """Playback rate of each."""
    pauses: tuple[float, ...]
    """Seconds between them."""
    edges: tuple[float, float] = (0.0, 0.0)
    """Seconds of faint noise before and after."""
    seconds: float
    """Duration as played, pauses and edges included."""


@dataclass(frozen=True, kw_only=True)
class _Played:
    """An utterance at the speed that it drew."""

    index: int
    speed: float
    seconds: float
    labels: int


class TakePlan:
    """Draws the takes of each epoch; a function of its arguments alone."""

    def __init__(
        self,
        utterances: Sequence[PreparedUtterance],
        train: TrainConfig,
        *,
        hearing: Hearing,
        separator_labels: int,
    ) -> None:
        """Reads off what each utterance needs.

        Args:
            utterances: After `num_samples` and the length caps.
            train: Seed, caps and augmentation.
            hearing: Front end and pace of the network.
            separator_labels: Labels that stand between two utterances.
        """
        self._train = train
        self._hearing = hearing
        self._rate_hz = hearing.frontend.sample_rate_hz
        self._separator_labels = separator_labels
        self._samples = [utterance.samples for utterance in utterances]
        self._labels = [len(utterance.labels) for utterance in utterances]
        self._needed = [frames_needed(utterance.labels) for utterance in utterances]

    def takes(self, epoch: int) -> list[Take]:
        """The takes of an epoch (from 0)."""
        generator = epoch_generator(self._train.seed, epoch)
        played = self._played(generator)
        longest = self._train.augment.concatenate
        if longest == 1:
            return self._padded([_take([one], ()) for one in played], generator)
        order = generator.permutation(len(played))
        strung = self._strung([played[index] for index in order], longest, generator)
        return self._padded(strung, generator)

    def _played(self, generator: np.random.Generator) -> list[_Played]:
        speeds = self._train.augment.speed
        drawn = generator.integers(len(speeds), size=len(self._samples))
        return [self._at_speed(index, speeds[choice]) for index, choice in enumerate(drawn)]

    def _at_speed(self, index: int, speed: float) -> _Played:
        """The utterance at a speed, or as it is where that would break a cap or CTC itself."""
        samples = self._samples[index]
        frames = self._hearing.frames_of(int(samples / speed))
        seconds = samples / speed / self._rate_hz
        if frames < self._needed[index] or seconds > self._train.max_seconds:
            speed, seconds = 1.0, samples / self._rate_hz
        return _Played(index=index, speed=speed, seconds=seconds, labels=self._labels[index])

    def _strung(
        self, played: Sequence[_Played], longest: int, generator: np.random.Generator
    ) -> list[Take]:
        """Groups neighbours, one to `longest` at a time, as far as the caps allow."""
        sizes = generator.integers(1, longest + 1, size=len(played))
        pauses = [float(pause) for pause in draw_pauses(len(played), generator)]
        takes: list[Take] = []
        start = 0
        while start < len(played):
            end = start + 1
            while end < min(start + sizes[start], len(played)) and self._fits(
                played[start : end + 1], pauses[start:end]
            ):
                end += 1
            between = tuple(pauses[start : end - 1])
            takes.append(_take(played[start:end], between))
            start = end
        return takes

    def _padded(self, takes: list[Take], generator: np.random.Generator) -> list[Take]:
        """The takes with edges, where these leave them within the cap."""
        longest = self._train.augment.pad_seconds
        if not longest:
            return takes
        edges = generator.uniform(0, longest, size=(len(takes), 2))
        return [
            replace(take, edges=(float(before), float(after)), seconds=seconds)
            if (seconds := take.seconds + float(before + after)) <= self._train.max_seconds
            else take
            for take, (before, after) in zip(takes, edges, strict=True)
        ]

    def _fits(self, group: Sequence[_Played], pauses: Sequence[float]) -> bool:
        seconds = sum(one.seconds for one in group) + sum(pauses)
        labels = sum(one.labels for one in group) + self._separator_labels * (len(group) - 1)
        return seconds <= self._train.max_seconds and labels <= self._train.max_labels


def _take(group: Sequence[_Played], pauses: tuple[float, ...]) -> Take:
    return Take(
        members=tuple(one.index for one in group),
        speeds=tuple(one.speed for one in group),
        pauses=pauses,
        seconds=sum(one.seconds for one in group) + sum(pauses),
    )
