"""The waveform itself as what a network hears, for encoders with convolutions of their own.

Equal to transformers' `Wav2Vec2FeatureExtractor`: samples as they are, or with zero mean and unit
variance over the recording, as the encoder was trained.

Legend: N samples.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_VARIANCE_GUARD = 1e-7


@dataclass(frozen=True, kw_only=True)
class WaveformSettings:
    """What the front end is set to; a package carries it as `frontend.json`."""

    sample_rate_hz: int = 16000
    zero_mean_unit_variance: bool = True
    """Whether each recording is brought to zero mean and unit variance."""
    min_samples: int = 400
    """The shortest recording that gives an output frame."""

    def frames(self, samples: int) -> int:
        """What the network hears of a recording of that many samples: each of them."""
        return samples

    def to_json(self) -> dict[str, int | float | str]:
        """The settings by name, for `frontend.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WaveformSettings:
        """Takes back what `to_json` gave."""
        return cls(**values)


class Waveform:
    """The front end in numpy."""

    def __init__(self, settings: WaveformSettings) -> None:
        self.settings = settings

    def __call__(self, samples: Samples) -> Samples:
        """What the network hears of one utterance.

        Args:
            samples: (N,) mono at the settings' sample rate, in [-1, 1].

        Returns:
            (N,) float32; empty where the recording is too short for one output frame.
        """
        if len(samples) < self.settings.min_samples:
            return np.zeros(0, dtype=np.float32)
        if not self.settings.zero_mean_unit_variance:
            return samples
        scaled = (samples - samples.mean()) / np.sqrt(samples.var() + _VARIANCE_GUARD)
        return np.asarray(scaled, dtype=np.float32)
