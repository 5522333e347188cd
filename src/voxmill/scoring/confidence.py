"""How far an error rate can be trusted: percentile bootstrap over utterances.

M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP 2004, sections 2 and 3. As there, whole utterances are drawn, because the
errors inside one utterance depend on each other. Utterances of one speaker depend on each other
too, which this leaves out: with few speakers the true interval is wider than the one given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxmill.errors import DataError

_DRAWS_AT_ONCE = 4_000_000
"""Indices held in memory at once (32 MB), whatever the size of the test set."""


@dataclass(frozen=True)
class Interval:
    """Where a rate lies with the asked confidence, both ends included."""

    low: float
    high: float


def bootstrap_interval(
    errors: npt.ArrayLike,
    references: npt.ArrayLike,
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The interval of the error rate of a test set, from resampling its utterances.

    Args:
        errors: (U,) errors of each utterance.
        references: (U,) words or characters of each reference.
        samples: How many test sets to draw, with replacement, each as large as the original.
        seed: Seed of the draws; the same counts and seed give the same interval.
        level: Share of the drawn rates that lies inside.

    Raises:
        DataError: There is no utterance, or the arrays differ in length.
    """
    wrong = np.asarray(errors, dtype=np.int64)  # (U,)
    said = np.asarray(references, dtype=np.int64)  # (U,)
    if wrong.ndim != 1 or wrong.shape != said.shape or wrong.size == 0:
        raise DataError(
            f"Bootstrap: errors of shape {wrong.shape} and references of shape {said.shape}; "
            "expected one of each for at least one utterance."
        )
    rates = _drawn_rates(wrong, said, samples=samples, seed=seed)  # (samples,)
    outside = 100 * (1 - level) / 2
    low, high = np.percentile(rates, [outside, 100 - outside])
    return Interval(float(low), float(high))


def _drawn_rates(
    wrong: npt.NDArray[np.int64], said: npt.NDArray[np.int64], *, samples: int, seed: int
) -> npt.NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // wrong.size)
    parts = []
    for start in range(0, samples, rows):
        shape = (min(rows, samples - start), wrong.size)
        drawn = generator.integers(wrong.size, size=shape)  # (rows, U)
        parts.append(wrong[drawn].sum(axis=1) / np.maximum(said[drawn].sum(axis=1), 1))  # (rows,)
    return np.concatenate(parts)
