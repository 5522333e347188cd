"""Log-mel features without torch, equal to what extractors of transformers compute.

`normalise` decides which extractor:

- `utterance`, as `ParakeetFeatureExtractor`: pre-emphasis, 25 ms Hann window centred on every
  10 ms, power, Slaney's mel filters, logarithm, then zero mean and unit variance of each band over
  the utterance. It takes away the microphone's colour, and with it the steady part of a vowel
  where the utterance is one short word.
- `none`, as `LasrFeatureExtractor`: windows within the recording only, power, Kaldi's mel filters,
  logarithm of at least 1e-5. What the microphone adds stays; `train.augment` can vary it.
- `loudest`, as `WhisperFeatureExtractor` on a recording with silence after it: 25 ms Hann window
  centred on every 10 ms, power, Slaney's mel filters, decimal logarithm, no less than 80 dB below
  the loudest of the recording, shifted and scaled. What Whisper's encoder was trained on.

Legend: N samples, T mel frames, F mel bands, K Fourier bins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxmill.signal.mel_filters import Filters, kaldi_filters, slaney_filters

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]
Normalisation = Literal["utterance", "none", "loudest"]

EPSILON = 1e-5
LOG_GUARD = 2.0**-24
"""Added before the logarithm where features are normalised."""
LOG_FLOOR = 1e-5
"""Least energy of a band where they are not."""
WHISPER_FLOOR = 1e-10
WHISPER_RANGE = 8.0
"""Decades below the loudest energy of a recording that Whisper's features reach down to."""
MIN_FRAMES = 2
"""One frame has no variance to divide by."""
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class MelSettings:
    """What the front end is set to; a package carries it as `frontend.json`."""

    sample_rate_hz: int = 16000
    mel_bins: int = 80
    hop_samples: int = 160
    window_samples: int = 400
    fft_samples: int = 512
    preemphasis: float = 0.97
    """Used where features are normalised."""
    normalise: Normalisation = "utterance"

    @classmethod
    def for_rate(
        cls,
        sample_rate_hz: int,
        mel_bins: int,
        normalise: Normalisation = "utterance",
    ) -> MelSettings:
        """10 ms hop and 25 ms window at any rate.

        The Fourier transform keeps 512 points at 8 kHz too: with 256 the lowest of 80 bands
        would fall between two bins and stay empty.
        """
        return cls(
            sample_rate_hz=sample_rate_hz,
            mel_bins=mel_bins,
            hop_samples=sample_rate_hz // 100,
            window_samples=sample_rate_hz // 40,
            normalise=normalise,
        )

    @classmethod
    def whisper(cls, mel_bins: int) -> MelSettings:
        """What Whisper's encoders hear: 80 bands, or 128 from large-v3 on."""
        return cls(mel_bins=mel_bins, fft_samples=400, preemphasis=0.0, normalise="loudest")

    @property
    def centred(self) -> bool:
        """Whether windows reach past both ends of the recording, into zeros."""
        return self.normalise != "none"

    @property
    def min_samples(self) -> int:
        """The shortest recording that gives features."""
        if self.centred:
            return MIN_FRAMES * self.hop_samples
        return self.window_samples + (MIN_FRAMES - 1) * self.hop_samples

    def frames(self, samples: int) -> int:
        """Mel frames of a recording of that many samples."""
        if self.centred:
            return samples // self.hop_samples
        return max(0, (samples - self.window_samples) // self.hop_samples + 1)

    def to_json(self) -> dict[str, int | float | str]:
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
        window = _hann_window(settings)
        self._window = _centred_window(window, settings) if settings.centred else window

    def __call__(self, samples: Samples) -> Features:
        """Features of one utterance.

        Args:
            samples: (N,) mono at the settings' sample rate, in [-1, 1].

        Returns:
            (T, F) float32; empty where the recording is shorter than two frames.
        """
        settings = self.settings
        frames = settings.frames(len(samples))
        if frames < MIN_FRAMES:
            return np.zeros((0, settings.mel_bins), dtype=np.float32)
        wave = self._emphasised(samples) if settings.centred else samples
        windows = np.lib.stride_tricks.sliding_window_view(wave, len(self._window))
        windows = windows[:: settings.hop_samples][:frames]  # (T, window), a view
        energies = self._energies(self._power(windows))
        if settings.normalise == "utterance":
            return _normalised(np.log(energies + np.float32(LOG_GUARD)))
        if settings.normalise == "loudest":
            return _below_loudest(np.log10(np.maximum(energies, np.float32(WHISPER_FLOOR))))
        return np.log(np.maximum(energies, np.float32(LOG_FLOOR)))

    def _emphasised(self, samples: Samples) -> Samples:
        """(N + fft,) samples between the zeros that the first and the last window need."""
        half = self.settings.fft_samples // 2
        if self.settings.normalise == "loudest":  # Whisper mirrors the beginning
            return np.concatenate([samples[half:0:-1], samples, np.zeros(half, np.float32)])
        emphasised = np.array(samples, dtype=np.float32)
        emphasised[1:] -= np.float32(self.settings.preemphasis) * samples[:-1]
        return np.pad(emphasised, half)

    def _power(self, windows: Features) -> Features:
        """(K, T) power spectrum of (T, window) samples.

        A few frames at a time stay in the cache and in memory that is already there, which takes
        half the time of one large transform.
        """
        fft = self.settings.fft_samples
        power = np.empty((fft // 2 + 1, len(windows)), dtype=np.float32)
        for start in range(0, len(windows), _FRAMES_AT_ONCE):
            spoken = windows[start : start + _FRAMES_AT_ONCE] * self._window
            spectrum = np.fft.rfft(spoken, n=fft, axis=1)
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


def mel_filters(settings: MelSettings) -> Filters:
    """The filters of a front end.

    Returns:
        (F, K) weights of the power spectrum's bins.
    """
    filters = slaney_filters if settings.centred else kaldi_filters
    return filters(
        sample_rate_hz=settings.sample_rate_hz,
        fft_samples=settings.fft_samples,
        bands=settings.mel_bins,
    )


def _hann_window(settings: MelSettings) -> Samples:
    """(window_samples,) Hann window; Whisper's is one period long, the others are symmetric."""
    if settings.normalise == "loudest":
        return np.hanning(settings.window_samples + 1)[:-1].astype(np.float32)
    return np.hanning(settings.window_samples).astype(np.float32)


def _band(weights: Filters) -> tuple[int, Filters]:
    """The first bin that a band hears, and its weights from there on; none for a deaf band."""
    heard = np.flatnonzero(weights)
    if not len(heard):
        return 0, weights[:0]
    return int(heard[0]), weights[heard[0] : heard[-1] + 1]


def _centred_window(window: Samples, settings: MelSettings) -> Samples:
    before = (settings.fft_samples - settings.window_samples) // 2
    after = settings.fft_samples - settings.window_samples - before
    return np.pad(window, (before, after))


def _normalised(features: Features) -> Features:
    mean = features.mean(axis=0)
    deviation = features.std(axis=0, ddof=1)
    scaled: Features = ((features - mean) / (deviation + EPSILON)).astype(np.float32)
    return scaled


def _below_loudest(features: Features) -> Features:
    scaled: Features = (np.maximum(features, features.max() - WHISPER_RANGE) + 4) / 4
    return scaled
