"""Log-mel features, equal to `transformers.ParakeetFeatureExtractor`, with and without torch.

Pre-emphasis, short-time Fourier transform (25 ms Hann window every 10 ms), power, Slaney mel
filters (Slaney, Auditory Toolbox, 1998), logarithm, then zero mean and unit variance of each band
over the utterance. An utterance of N samples gives N // hop frames whatever it is batched with.

Legend: B utterances, N samples, T mel frames, F mel bands, K Fourier bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]

_EPSILON = 1e-5
_LOG_GUARD = 2.0**-24
_FRAMES_AT_ONCE = 64
_MIN_FRAMES = 2  # one frame has no variance to divide by


@dataclass(frozen=True, kw_only=True)
class MelSettings:
    """What the front end is set to; a package carries it as `frontend.json`."""

    sample_rate_hz: int = 16000
    mel_bins: int = 80
    hop_samples: int = 160
    window_samples: int = 400
    fft_samples: int = 512
    preemphasis: float = 0.97

    @classmethod
    def for_rate(cls, sample_rate_hz: int, mel_bins: int) -> MelSettings:
        """10 ms hop and 25 ms window at any rate.

        The Fourier transform keeps 512 points at 8 kHz too: with 256 the lowest of 80 bands
        would fall between two bins and stay empty.
        """
        return cls(
            sample_rate_hz=sample_rate_hz,
            mel_bins=mel_bins,
            hop_samples=sample_rate_hz // 100,
            window_samples=sample_rate_hz // 40,
        )

    def frames(self, samples: int) -> int:
        """Mel frames of a recording of that many samples."""
        return samples // self.hop_samples

    def to_json(self) -> dict[str, int | float]:
        """The settings by name, for `frontend.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> MelSettings:
        """Takes back what `to_json` gave."""
        return cls(**values)


class LogMel:
    """The front end in numpy: what runs beside ONNX, where there is no torch."""

    def __init__(self, settings: MelSettings) -> None:
        self.settings = settings
        self._bands = [_band(row) for row in mel_filters(settings)]
        self._window = _centred_window(settings)  # (fft,)

    def __call__(self, samples: Samples) -> Features:
        """Features of one utterance.

        Args:
            samples: (N,) mono at the settings' sample rate, in [-1, 1].

        Returns:
            (T, F) float32; empty where the recording is shorter than two frames.
        """
        settings = self.settings
        frames = settings.frames(len(samples))
        if frames < _MIN_FRAMES:
            return np.zeros((0, settings.mel_bins), dtype=np.float32)
        emphasised = np.array(samples, dtype=np.float32)
        emphasised[1:] -= np.float32(settings.preemphasis) * samples[:-1]
        padded = np.pad(emphasised, settings.fft_samples // 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, settings.fft_samples)
        windows = windows[:: settings.hop_samples][:frames]  # (T, fft), a view
        energies = self._energies(self._power(windows))
        return _normalised(np.log(energies + np.float32(_LOG_GUARD)))

    def _power(self, windows: Features) -> Features:
        """(K, T) power spectrum of (T, fft) samples.

        A few frames at a time stay in the cache and in memory that is already there, which takes
        half the time of one large transform.
        """
        power = np.empty((windows.shape[1] // 2 + 1, len(windows)), dtype=np.float32)
        for start in range(0, len(windows), _FRAMES_AT_ONCE):
            spectrum = np.fft.rfft(windows[start : start + _FRAMES_AT_ONCE] * self._window, axis=1)
            power[:, start : start + len(spectrum)] = (spectrum.real**2 + spectrum.imag**2).T
        return power

    def _energies(self, power: Features) -> Features:
        """(T, F) energy of each band, from (K, T).

        Band by band over its few bins: as one product it would be no faster, and numpy's BLAS
        would keep every other core of the machine waiting busily for the next one.
        """
        energies = np.empty((len(self._bands), power.shape[1]), dtype=np.float32)
        for row, (first, weights) in zip(energies, self._bands, strict=True):
            np.einsum("k,kt->t", weights, power[first : first + len(weights)], out=row)
        return np.ascontiguousarray(energies.T)


class TorchLogMel:
    """The front end in torch: many utterances at once, for training."""

    def __init__(self, settings: MelSettings) -> None:
        import torch

        self.settings = settings
        self._filters = torch.from_numpy(mel_filters(settings))  # (F, K)
        self._window = torch.hann_window(settings.window_samples, periodic=False)

    def __call__(self, batch: Sequence[Samples]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of a batch, each utterance's own whatever stands beside it.

        Returns:
            (B, T + 1, F) float32, zero past each end (one frame more than the longest has, as the
            extractor of transformers gives), and (B,) int64 frames of each utterance.
        """
        import torch

        counts = torch.tensor([len(samples) for samples in batch])
        waves = torch.zeros(len(batch), int(counts.max()))
        for row, samples in enumerate(batch):
            wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
            waves[row, : len(wave)] = wave
            waves[row, 1 : len(wave)] -= self.settings.preemphasis * wave[:-1]
        frames = counts // self.settings.hop_samples
        return self._normalised(self._log_mel(waves), frames), frames

    def _log_mel(self, waves: torch.Tensor) -> torch.Tensor:
        import torch

        settings = self.settings
        spectrum = torch.stft(
            waves,
            settings.fft_samples,
            hop_length=settings.hop_samples,
            win_length=settings.window_samples,
            window=self._window,
            return_complex=True,
            pad_mode="constant",
        )  # (B, K, T + 1)
        power = torch.view_as_real(spectrum).pow(2).sum(-1)
        return torch.log(self._filters @ power + _LOG_GUARD).transpose(1, 2)  # (B, T + 1, F)

    @staticmethod
    def _normalised(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        import torch

        inside = torch.arange(features.shape[1]) < frames[:, None]
        mask = inside.unsqueeze(-1)  # (B, T + 1, 1)
        count = frames.clamp(min=_MIN_FRAMES)[:, None, None]
        mean = (features * mask).sum(1, keepdim=True) / count
        centred = (features - mean) * mask
        deviation = (centred.pow(2).sum(1, keepdim=True) / (count - 1)).sqrt()
        return centred / (deviation + _EPSILON)


def mel_filters(settings: MelSettings) -> npt.NDArray[np.float32]:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale.

    Returns:
        (F, K) weights of the power spectrum's bins.
    """
    nyquist_hz = settings.sample_rate_hz / 2
    bins_hz = np.linspace(0, nyquist_hz, settings.fft_samples // 2 + 1)
    edges_hz = _hertz(np.linspace(0, _mel(nyquist_hz), settings.mel_bins + 2))
    widths_hz = np.diff(edges_hz)
    slopes = edges_hz[:, None] - bins_hz  # (F + 2, K)
    rising = -slopes[:-2] / widths_hz[:-1, None]
    falling = slopes[2:] / widths_hz[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return (triangles * area[:, None]).astype(np.float32)


def _band(weights: npt.NDArray[np.float32]) -> tuple[int, npt.NDArray[np.float32]]:
    """The first bin that a band hears, and its weights from there on."""
    heard = np.flatnonzero(weights)
    return int(heard[0]), weights[heard[0] : heard[-1] + 1]


def _mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz (15 mel), logarithmic above."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def _centred_window(settings: MelSettings) -> npt.NDArray[np.float32]:
    window = np.hanning(settings.window_samples)
    before = (settings.fft_samples - settings.window_samples) // 2
    after = settings.fft_samples - settings.window_samples - before
    return np.pad(window, (before, after)).astype(np.float32)


def _normalised(features: Features) -> Features:
    mean = features.mean(axis=0)
    deviation = features.std(axis=0, ddof=1)
    scaled: Features = ((features - mean) / (deviation + _EPSILON)).astype(np.float32)
    return scaled
