"""Triangular filters that sum a power spectrum into mel bands.

Legend: F mel bands, K Fourier bins.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Filters = npt.NDArray[np.float32]

KALDI_LOWEST_HZ, KALDI_HIGHEST_HZ = 125.0, 7500.0


def slaney_filters(*, sample_rate_hz: int, fft_samples: int, bands: int) -> Filters:
    """Filters of equal area, evenly spaced on Slaney's mel scale (Auditory Toolbox, 1998).

    Returns:
        (F, K) weights of the power spectrum's bins.
    """
    nyquist_hz = sample_rate_hz / 2
    bins_hz = np.linspace(0, nyquist_hz, fft_samples // 2 + 1)
    edges_hz = _slaney_hertz(np.linspace(0, _slaney_mel(nyquist_hz), bands + 2))
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return (_triangles(bins_hz, edges_hz) * area[:, None]).astype(np.float32)


def kaldi_filters(*, sample_rate_hz: int, fft_samples: int, bands: int) -> Filters:
    """Filters of equal height from 125 Hz to 7.5 kHz, straight lines on Kaldi's mel scale.

    Below 15 kHz of sampling the upper bands lie above what was recorded and hear nothing: at
    8 kHz 31 of 40 are left. transformers' `LasrFeatureExtractor` fixes the range.

    Returns:
        (F, K) weights of the power spectrum's bins; the constant bin has none.
    """
    bins_mel = _kaldi_mel(np.linspace(0, sample_rate_hz / 2, fft_samples // 2 + 1))
    lowest, highest = _kaldi_mel(np.array([KALDI_LOWEST_HZ, KALDI_HIGHEST_HZ]))
    triangles = _triangles(bins_mel, np.linspace(lowest, highest, bands + 2))
    triangles[:, 0] = 0
    return triangles.astype(np.float32)


def _triangles(
    bins: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(F, K) triangles of height one, each from one edge to the next but one."""
    widths = np.diff(edges)
    slopes = edges[:, None] - bins  # (F + 2, K)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _slaney_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _slaney_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def _kaldi_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logarithmic throughout: 1127 ln(1 + f / 700)."""
    mel: npt.NDArray[np.float64] = 1127.0 * np.log1p(hertz / 700.0)
    return mel
