"""Distortions of training audio and features; all chance comes from the generator passed in.

`utterance_generator` seeds one generator per (seed, epoch, utterance), so that what an utterance
becomes depends neither on its place in a batch nor on where a run was resumed.

Legend: N samples, T mel frames, F mel bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]

# A last word keeps the streams apart: numpy takes [1, 2] and [1, 2, 0] for the same seed.
_UTTERANCE, _EPOCH = 1, 2
_EQUALISER_HZ = (0.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
_PAUSE_SECONDS = (0.05, 0.3)
_ROOM_DB = (-80.0, -40.0)
_PAUSE_LEVEL = 10 ** (-50 / 20)  # 50 dB below the speech


def utterance_generator(seed: int, epoch: int, utterance: int) -> np.random.Generator:
    """The generator that decides what happens to one utterance in one epoch."""
    return np.random.default_rng([seed, epoch, utterance, _UTTERANCE])


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """The generator that decides what concerns a whole epoch: who is strung together with whom."""
    return np.random.default_rng([seed, epoch, 0, _EPOCH])


def change_speed(samples: Samples, factor: float) -> Samples:
    """Plays faster (above 1, pitch rises) or slower (below 1) by resampling.

    Returns:
        (about N / factor,) samples.
    """
    if factor == 1.0:
        return samples
    played: Samples = soxr.resample(samples, factor, 1.0, quality="MQ").astype(np.float32)
    return played


def change_gain(samples: Samples, decibels: float) -> Samples:
    """Louder (above 0) or softer; clips at full scale, as a recorder would."""
    louder: Samples = np.clip(samples * 10 ** (decibels / 20), -1, 1).astype(np.float32)
    return louder


def add_noise(
    samples: Samples,
    snr_db: float,
    *,
    colour: Literal["white", "pink"],
    generator: np.random.Generator,
) -> Samples:
    """Adds noise at a signal-to-noise ratio over the whole utterance; silence stays as it is."""
    noise = generator.standard_normal(len(samples))
    if colour == "pink":
        noise = _pink(noise)
    wanted = _level(samples) * 10 ** (-snr_db / 20)
    scale = wanted / max(_level(noise), 1e-12)
    noisy: Samples = (samples + scale * noise).astype(np.float32)
    return noisy


def draw_equaliser(strongest_db: float, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Decibels for each slider of `equalise`, up to `strongest_db` either way."""
    return generator.uniform(-strongest_db, strongest_db, size=len(_EQUALISER_HZ))


def equalise(
    samples: Samples, decibels: npt.NDArray[np.float64], *, sample_rate_hz: int
) -> Samples:
    """Another microphone and another room: louder and softer frequencies, without an echo.

    Between the sliders (an octave apart, from 250 Hz on) decibels run in straight lines over
    frequency. Phases stay.

    Args:
        samples: (N,).
        decibels: One for each slider, see `draw_equaliser`.
        sample_rate_hz: Of the samples.
    """
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / sample_rate_hz)
    gains = 10 ** (np.interp(hertz, _EQUALISER_HZ, decibels) / 20)
    played: Samples = np.fft.irfft(spectrum * gains, n=len(samples)).astype(np.float32)
    return played


def draw_pauses(count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """(count,) seconds of pause between concatenated utterances."""
    return generator.uniform(*_PAUSE_SECONDS, size=count)


def concatenate(
    parts: Sequence[Samples],
    pauses_seconds: Sequence[float],
    *,
    sample_rate_hz: int,
    generator: np.random.Generator,
) -> Samples:
    """Strings utterances together with pauses between them.

    A pause holds faint noise, since digital silence would be a sound that no microphone makes and
    would shift the mean of every mel band.

    Args:
        parts: Utterances, (N_i,) each.
        pauses_seconds: One pause less than there are parts.
        sample_rate_hz: Of all parts.
        generator: Draws the noise.
    """
    level = _PAUSE_LEVEL * _level(np.concatenate(parts))
    strung = [parts[0]]
    for part, seconds in zip(parts[1:], pauses_seconds, strict=True):
        pause = generator.standard_normal(round(seconds * sample_rate_hz)) * level
        strung += [pause.astype(np.float32), part]
    return np.concatenate(strung)


def pad(
    samples: Samples,
    edges_seconds: tuple[float, float],
    *,
    sample_rate_hz: int,
    generator: np.random.Generator,
) -> Samples:
    """Puts the noise of a quiet room before and after, 40 to 80 dB below full scale.

    Args:
        samples: (N,).
        edges_seconds: Before and after; with (0, 0) nothing is drawn.
        sample_rate_hz: Of the samples.
        generator: Draws level and noise.
    """
    if edges_seconds == (0.0, 0.0):
        return samples
    level = 10 ** (generator.uniform(*_ROOM_DB) / 20)
    before, after = (
        (level * generator.standard_normal(round(seconds * sample_rate_hz))).astype(np.float32)
        for seconds in edges_seconds
    )
    return np.concatenate([before, samples, after])


def mask_time(
    features: Features,
    *,
    count: int,
    longest_share: float,
    generator: np.random.Generator,
    blank: float = 0.0,
) -> None:
    """Blanks stretches of time in place (SpecAugment, Park et al., 2019).

    `longest_share` bounds each stretch, so that short utterances keep most of themselves; `blank`
    is to be the features' mean, which is zero where they are normalised.
    """
    frames = len(features)
    for _ in range(count):
        width = int(generator.integers(0, int(longest_share * frames) + 1))
        start = int(generator.integers(0, frames - width + 1))
        features[start : start + width] = blank


def mask_frequency(
    features: Features,
    *,
    count: int,
    widest_bins: int,
    generator: np.random.Generator,
    blank: float = 0.0,
) -> None:
    """Blanks bands of frequency in place (SpecAugment); `blank` as in `mask_time`."""
    bins = features.shape[1]
    for _ in range(count):
        width = int(generator.integers(0, min(widest_bins, bins) + 1))
        start = int(generator.integers(0, bins - width + 1))
        features[:, start : start + width] = blank


def _level(samples: npt.NDArray[np.floating]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def _pink(white: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shapes white noise to a power that falls by 3 dB an octave."""
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.fft.irfft(spectrum, n=len(white))
