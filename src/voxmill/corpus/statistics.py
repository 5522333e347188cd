"""What a corpus holds, in numbers that a person reads before trusting it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance

QUANTILES: Mapping[str, float] = {
    "min": 0.0,
    "p05": 0.05,
    "p25": 0.25,
    "p50": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "max": 1.0,
}
_SECONDS_PER_HOUR = 3600


class Amount(BaseModel):
    """How much speech."""

    model_config = ConfigDict(frozen=True)

    utterances: int
    hours: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Amount:
        """The amount of utterances of those durations."""
        return cls(utterances=len(seconds), hours=round(sum(seconds) / _SECONDS_PER_HOUR, 4))


class CorpusStatistics(BaseModel):
    """The accepted utterances, and why others were rejected."""

    model_config = ConfigDict(frozen=True)

    accepted: Amount
    rejected: int
    by_part: Mapping[str, Amount]
    by_speaker: Mapping[str, Amount]
    by_subset: Mapping[str, Amount]
    seconds: Mapping[str, float]
    """Quantiles of duration; empty where nothing was accepted."""
    sample_rates_hz: Mapping[str, int]
    """Utterances by sample rate of their file."""
    channels: Mapping[str, int]
    """Utterances by number of channels of their file."""
    reasons: Mapping[str, int]
    """Rejected by reason."""


def statistics(
    accepted: Sequence[AuditedUtterance], rejected: Sequence[RejectedUtterance]
) -> CorpusStatistics:
    """Counts, hours and quantiles."""
    return CorpusStatistics(
        accepted=Amount.of([one.seconds for one in accepted]),
        rejected=len(rejected),
        by_part=_amounts(accepted, lambda one: one.part),
        by_speaker=_amounts(accepted, lambda one: one.speaker),
        by_subset=_amounts(accepted, lambda one: one.subset),
        seconds=_quantiles([one.seconds for one in accepted]),
        sample_rates_hz=_counts(str(one.sample_rate_hz) for one in accepted),
        channels=_counts(str(one.channels) for one in accepted),
        reasons=_counts(one.reason for one in rejected),
    )


def _amounts(
    utterances: Sequence[AuditedUtterance], key: Callable[[AuditedUtterance], str]
) -> dict[str, Amount]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for one in utterances:
        seconds[key(one)].append(one.seconds)
    return {name: Amount.of(seconds[name]) for name in sorted(seconds)}


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    values = np.quantile(np.asarray(seconds), list(QUANTILES.values()))
    return {name: round(float(v), 3) for name, v in zip(QUANTILES, values, strict=True)}


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
