"""Real speech to measure a package with: validation utterances, whole or cut to given lengths.

Legend: N samples; of features T steps and D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxmill.corpus.feature_shards import open_shards
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError
from voxmill.families.family import Samples


@dataclass(frozen=True, kw_only=True)
class SpeechSamples:
    """Some utterances of a prepared corpus."""

    utterances: tuple[Samples, ...]
    """Each (N,) or (T, D)."""
    sample_rate_hz: float
    """Of features: steps a second."""

    def of_lengths(self, seconds: Sequence[float]) -> list[Samples]:
        """Speech of exactly these lengths: utterances end to end, repeated where they run out."""
        row = np.concatenate(self.utterances)
        lengths = [max(1, round(length * self.sample_rate_hz)) for length in seconds]
        length = max(len(row), sum(lengths))
        row = np.resize(row, (length, *row.shape[1:]))  # repeats from the start
        ends = np.cumsum(lengths)
        return [row[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def read_speech(
    prepared: Path,
    utterances: Sequence[PreparedUtterance],
    *,
    sample_rate_hz: float,
    max_seconds: float,
) -> SpeechSamples:
    """The first validation utterances (training ones where there are none) up to a duration.

    Args:
        prepared: Output folder of prepare.
        utterances: All of them.
        sample_rate_hz: Of the shards.
        max_seconds: Enough to take; at least one utterance is taken.

    Raises:
        DataError: There is no utterance at all.
    """
    validation = [utterance for utterance in utterances if utterance.split == "validation"]
    chosen = validation or list(utterances)
    if not chosen:
        raise DataError(f"Prepared corpus {prepared} holds no utterance. Run prepare.")
    reader = open_shards(prepared)
    taken: list[Samples] = []
    seconds = 0.0
    for utterance in chosen:
        if taken and seconds + utterance.samples / sample_rate_hz > max_seconds:
            break
        taken.append(reader.samples(utterance))
        seconds += utterance.samples / sample_rate_hz
    return SpeechSamples(utterances=tuple(taken), sample_rate_hz=sample_rate_hz)
