"""Change of sample rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]


def resample(samples: Samples, *, from_hz: int, to_hz: int) -> Samples:
    """The same sound at another sample rate (soxr, quality HQ: 20 bits, linear phase).

    Args:
        samples: (N,) mono float32.
        from_hz: Sample rate of `samples`.
        to_hz: Sample rate wanted.

    Returns:
        (M,) float32 with M within one of N * to_hz / from_hz; `samples` itself if rates are equal.
    """
    if from_hz == to_hz:
        return samples
    resampled: Samples = soxr.resample(samples, from_hz, to_hz, quality="HQ")  # (M,)
    return resampled
