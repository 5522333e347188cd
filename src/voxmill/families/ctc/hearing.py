"""From samples to output frames: what a network hears, and how many frames it gives for it.

Legend: B utterances, N samples, T input frames (mel frames, samples, or steps of features), F mel
bands or dimensions of features, S output frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from voxmill.families.ctc.config import CtcModelConfig, FeatureInput, PretrainedEncoder
from voxmill.families.family import Samples
from voxmill.signal.frontend import FrontendSettings
from voxmill.signal.mel import MelSettings
from voxmill.signal.standardise import FeatureSettings, Standardised
from voxmill.signal.torch_mel import TorchLogMel
from voxmill.signal.waveform import Waveform, WaveformSettings

Count = TypeVar("Count", int, torch.Tensor)

WAV2VEC_CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Kernel and stride of the convolutions that every wav2vec 2.0, HuBERT and WavLM has in front."""
WHISPER_SUBSAMPLING = 2


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """What stands before a network, and the pace of its output."""

    frontend: FrontendSettings
    subsampling: int
    """Input frames that become one output frame, rounded up; 0: `WAV2VEC_CONVOLUTIONS`."""
    reads_past_end: bool = False
    """Whether transformers' pipeline decodes a frame past the speech (see CtcObjective)."""

    def output_frames(self, frames: Count) -> Count:
        """Output frames of so many input frames, of one utterance or of each of a batch."""
        if self.subsampling:
            # No negative numbers: ONNX divides them towards zero.
            return (frames + self.subsampling - 1) // self.subsampling
        for kernel, stride in WAV2VEC_CONVOLUTIONS:
            frames = (frames - kernel) // stride + 1
        return frames

    def frames_of(self, samples: int) -> int:
        """Output frames of a recording of that many samples, or of an array of so many steps."""
        return max(0, self.output_frames(self.frontend.frames(samples)))

    def arguments(self, features: torch.Tensor, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        """A batch as the network's `forward` names it.

        Args:
            features: (B, T, F) mel or other features, or (B, N) samples.
            frames: (B,) valid ones of each utterance; what lies past them is masked.
        """
        inside = torch.arange(features.shape[1], device=features.device) < frames[:, None]
        if isinstance(self.frontend, WaveformSettings):
            return {"input_values": features, "attention_mask": inside}
        if isinstance(self.frontend, MelSettings) and self.frontend.normalise == "loudest":
            # transformers' Whisper has time last
            return {"input_features": features.transpose(1, 2), "attention_mask": inside}
        return {"input_features": features, "attention_mask": inside}


BatchFrontend = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""A front end over a batch: a sequence of samples (N,) in, and `warps`, how far each utterance's
frequencies are stretched (mel features only); (B, T, F) or (B, N) float32 out, zero past each end,
and (B,) int64 input frames."""


def batch_frontend(settings: FrontendSettings) -> BatchFrontend:
    """The front end for training and for the ONNX graph's examples."""
    if isinstance(settings, MelSettings):
        return TorchLogMel(settings)
    if isinstance(settings, FeatureSettings):
        return _TorchFeatures(settings)
    return _TorchWaveform(settings)


class _TorchFeatures:
    def __init__(self, settings: FeatureSettings) -> None:
        self._standardised = Standardised(settings)

    def __call__(
        self, batch: Sequence[Samples], *, warps: Sequence[float] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del warps  # dimensions of any kind have no frequencies to stretch
        rows = [torch.from_numpy(self._standardised(array)) for array in batch]  # (T, F) each
        frames = torch.tensor([len(row) for row in rows])
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), frames


class _TorchWaveform:
    def __init__(self, settings: WaveformSettings) -> None:
        self._waveform = Waveform(settings)

    def __call__(
        self, batch: Sequence[Samples], *, warps: Sequence[float] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del warps  # a waveform has no bands to stretch
        rows = [torch.from_numpy(self._waveform(samples).copy()) for samples in batch]
        frames = torch.tensor([len(row) for row in rows])
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), frames


def hearing_of(model: CtcModelConfig, features: FeatureSettings | None = None) -> Hearing:
    """What the model of a recipe hears.

    Args:
        model: The section `model`.
        features: What prepare measured on the training split, where the input is features; to
            count frames it is not needed.
    """
    encoder = model.encoder
    if isinstance(model.input, FeatureInput) and not isinstance(encoder, PretrainedEncoder):
        plain = FeatureSettings.plain(model.input.dimensions, model.input.frame_seconds)
        return Hearing(frontend=features or plain, subsampling=encoder.subsampling)
    if not isinstance(encoder, PretrainedEncoder):
        settings = MelSettings.for_rate(model.sample_rate_hz, model.mel_bins, model.normalise)
        return mel_hearing(settings, encoder.subsampling)
    if encoder.architecture == "whisper":
        return whisper_hearing(model.mel_bins)
    return Hearing(frontend=WaveformSettings(), subsampling=0)


def mel_hearing(settings: MelSettings, subsampling: int) -> Hearing:
    """A conformer from scratch."""
    past = settings.normalise == "utterance"
    return Hearing(frontend=settings, subsampling=subsampling, reads_past_end=past)


def whisper_hearing(mel_bins: int) -> Hearing:
    """Whisper's encoder."""
    return Hearing(frontend=MelSettings.whisper(mel_bins), subsampling=WHISPER_SUBSAMPLING)
