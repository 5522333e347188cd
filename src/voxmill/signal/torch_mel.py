"""Log-mel features of many utterances at once, for training; equal to those of `mel`.

Legend: B utterances, N samples, T mel frames, F mel bands, K Fourier bins, W samples of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from voxmill.signal.mel import (
    EPSILON,
    LOG_FLOOR,
    LOG_GUARD,
    MIN_FRAMES,
    WHISPER_FLOOR,
    WHISPER_RANGE,
    MelSettings,
    Samples,
    mel_filters,
)


class TorchLogMel:
    """The front end in torch."""

    def __init__(self, settings: MelSettings) -> None:
        self.settings = settings
        self._filters = torch.from_numpy(mel_filters(settings))  # (F, K)
        self._window = torch.hann_window(
            settings.window_samples, periodic=settings.normalise == "loudest"
        )

    def __call__(
        self, batch: Sequence[Samples], *, warps: Sequence[float] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of a batch, each utterance's own whatever stands beside it.

        Args:
            batch: (N,) samples of each utterance.
            warps: By how much each utterance's frequencies are stretched before the mel bands
                hear them (vocal tract length perturbation, Jaitly and Hinton, 2013); None: not.

        Returns:
            (B, T, F) float32, zero past each end, and (B,) int64 frames of each utterance. T is
            what `ParakeetFeatureExtractor` gives with `normalise: utterance`: one frame more than
            the longest utterance has.
        """
        frames = torch.tensor([self.settings.frames(len(samples)) for samples in batch])
        power = self._power(batch)  # (B, K, T)
        energies = self._filters @ power if warps is None else self._warped(warps) @ power
        if self.settings.normalise == "utterance":
            return _normalised(_by_time(torch.log(energies + LOG_GUARD)), frames), frames
        if self.settings.normalise == "loudest":
            energies = _by_time(energies[..., : int(frames.max())])
            return _below_loudest(torch.log10(energies.clamp(min=WHISPER_FLOOR)), frames), frames
        features = _by_time(torch.log(energies.clamp(min=LOG_FLOOR)))
        return features * _inside(features, frames), frames

    def _power(self, batch: Sequence[Samples]) -> torch.Tensor:
        settings = self.settings
        if settings.centred:
            half = settings.fft_samples // 2
            waves = self._waves(batch, emphasis=settings.preemphasis)
            before = waves[:, 1 : half + 1].flip(-1)  # Whisper mirrors the beginning
            if settings.normalise != "loudest":
                before = torch.zeros_like(before)
            spectrum = torch.stft(
                torch.cat([before, waves, waves.new_zeros(len(batch), half)], dim=-1),
                settings.fft_samples,
                hop_length=settings.hop_samples,
                win_length=settings.window_samples,
                window=self._window,
                return_complex=True,
                center=False,
            )  # (B, K, T + 1)
        else:
            windows = self._waves(batch).unfold(-1, settings.window_samples, settings.hop_samples)
            spectrum = torch.fft.rfft(windows * self._window, n=settings.fft_samples)  # (B, T, K)
            spectrum = spectrum.transpose(1, 2)
        return torch.view_as_real(spectrum).pow(2).sum(-1)

    def _waves(self, batch: Sequence[Samples], *, emphasis: float = 0.0) -> torch.Tensor:
        """(B, N) samples of all utterances, at least one window long, zero past each end."""
        longest = max(*map(len, batch), self.settings.window_samples)
        waves = torch.zeros(len(batch), longest)
        for row, samples in enumerate(batch):
            wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
            waves[row, : len(wave)] = wave
            if emphasis:
                waves[row, 1 : len(wave)] -= emphasis * wave[:-1]
        return waves

    def _warped(self, warps: Sequence[float]) -> torch.Tensor:
        """(B, F, K): what each utterance's bins weigh, heard at warp times their frequency.

        Above the knee the line bends, so that the highest bin stays the highest.
        """
        top = self._filters.shape[1] - 1
        bins = torch.arange(top + 1.0)
        factors = torch.tensor(list(warps))[:, None]  # (B, 1)
        knee = _KNEE * top / factors.clamp(min=1.0)
        slope = (top - knee * factors) / (top - knee)
        heard = torch.where(bins <= knee, bins * factors, top - slope * (top - bins))  # (B, K)
        below = heard.floor().long().clamp(0, top)
        above = (below + 1).clamp(max=top)
        share = heard - below  # (B, K)
        columns = self._filters.T  # (K, F)
        mixed = torch.lerp(columns[below], columns[above], share[..., None])  # (B, K, F)
        return mixed.transpose(1, 2)


_KNEE = 0.8  # of the highest frequency


def _by_time(energies: torch.Tensor) -> torch.Tensor:
    """(B, T, F) from (B, F, T)."""
    return energies.transpose(1, 2)


def _inside(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """(B, T, 1) whether a frame belongs to its utterance."""
    return (torch.arange(features.shape[1]) < frames[:, None]).unsqueeze(-1)


def _normalised(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    mask = _inside(features, frames)
    count = frames.clamp(min=MIN_FRAMES)[:, None, None]
    mean = (features * mask).sum(1, keepdim=True) / count
    centred = (features - mean) * mask
    deviation = (centred.pow(2).sum(1, keepdim=True) / (count - 1)).sqrt()
    return centred / (deviation + EPSILON)


def _below_loudest(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    mask = _inside(features, frames)
    loudest = features.masked_fill(~mask, -torch.inf).amax((1, 2), keepdim=True)
    return (torch.maximum(features, loudest - WHISPER_RANGE) + 4) / 4 * mask
