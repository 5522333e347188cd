"""One batch of utterances as the network takes it.

Legend: B utterances, T input frames (mel frames, or samples), F mel bands, U labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from voxmill.text.tokenizer import BLANK_ID


@dataclass(frozen=True, kw_only=True)
class CtcBatch:
    """Features and labels, padded to the longest."""

    features: torch.Tensor
    """(B, T, F) mel or other features or (B, T) samples, float32, zero past each end; mel features
    that transformers' Parakeet would pad have one frame more than the longest utterance."""
    frames: torch.Tensor
    """(B,) int64 input frames of each utterance."""
    labels: torch.Tensor
    """(B, U) int64, padded with blanks."""
    label_counts: torch.Tensor
    """(B,) int64."""
    texts: tuple[str, ...]
    """What was said, for error rates."""
    seconds: float
    """Speech in the batch, padding left out."""

    @property
    def utterances(self) -> int:
        """How many there are."""
        return len(self.texts)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> CtcBatch:
        """The same batch on a device."""
        return replace(
            self,
            features=self.features.to(device, non_blocking=non_blocking),
            frames=self.frames.to(device, non_blocking=non_blocking),
            labels=self.labels.to(device, non_blocking=non_blocking),
            label_counts=self.label_counts.to(device, non_blocking=non_blocking),
        )


def padded_labels(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels side by side.

    Returns:
        (B, U) int64, padded with blanks, and (B,) int64 counts.
    """
    counts = torch.tensor([len(row) for row in rows])
    labels = torch.full((len(rows), int(counts.max())), BLANK_ID)
    for place, row in enumerate(rows):
        labels[place, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return labels, counts


def frames_needed(labels: Sequence[int]) -> int:
    """Fewest output frames that CTC can write the labels in: a repeat needs a blank between."""
    repeats = sum(a == b for a, b in pairwise(labels))
    return len(labels) + repeats
