"""Which training utterances take part, and how much of each: the subset and the length caps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much of an utterance is used."""

    samples: int
    labels: int


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The utterances to train on, and how many were left out or cut for their length."""

    utterances: tuple[PreparedUtterance, ...]
    """In the order given; a cut one has fewer samples and labels, its text is as it was."""
    skipped: int
    truncated: int


def select(
    utterances: Sequence[PreparedUtterance], config: TrainConfig, *, sample_rate_hz: float
) -> Selection:
    """Applies `num_samples`, then `max_seconds`, `max_labels` and `too_long`.

    Args:
        utterances: The training split; validation and test are never cut.
        config: The `train` section.
        sample_rate_hz: Of the shards.
    """
    max_samples = int(config.max_seconds * sample_rate_hz)
    kept: list[PreparedUtterance] = []
    skipped = truncated = 0
    for utterance in first_in_hash_order(utterances, config.num_samples):
        whole = Extent(samples=utterance.samples, labels=len(utterance.labels))
        limit = Extent(samples=max_samples, labels=config.max_labels)
        if fits(whole, limit):
            kept.append(utterance)
        elif config.too_long == "skip":
            skipped += 1
        else:
            truncated += 1
            kept.append(_cut(utterance, shortened(whole, limit)))
    return Selection(utterances=tuple(kept), skipped=skipped, truncated=truncated)


def first_in_hash_order(
    utterances: Sequence[PreparedUtterance], count: int | None
) -> list[PreparedUtterance]:
    """The `count` utterances whose ids hash lowest, in the order given; all for None.

    The order by hash has nothing to do with speakers or length, and a larger `count` holds every
    smaller one, so that learning curves over the amount of data compare like with like.
    """
    if count is None or count >= len(utterances):
        return list(utterances)
    chosen = set(sorted(_digest(utterance.id) for utterance in utterances)[:count])
    return [utterance for utterance in utterances if _digest(utterance.id) in chosen]


def fits(whole: Extent, limit: Extent) -> bool:
    """Whether an utterance is within both limits."""
    return whole.samples <= limit.samples and whole.labels <= limit.labels


def shortened(whole: Extent, limit: Extent) -> Extent:
    """Audio and labels cut in one proportion until both are within the limits.

    Speech and text run at about the same pace through an utterance, so the same share of both is
    the fairest guess without an alignment. Rounding favours audio: labels are rounded down.
    """
    share = min(limit.samples / whole.samples, limit.labels / max(1, whole.labels), 1.0)
    return Extent(
        samples=max(1, min(limit.samples, round(whole.samples * share))),
        labels=max(min(1, whole.labels), min(limit.labels, int(whole.labels * share))),
    )


def _cut(utterance: PreparedUtterance, extent: Extent) -> PreparedUtterance:
    return utterance.model_copy(
        update={"samples": extent.samples, "labels": utterance.labels[: extent.labels]}
    )


def _digest(identity: str) -> bytes:
    return hashlib.sha256(identity.encode()).digest()
