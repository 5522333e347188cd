"""Recordings from files: WAV, FLAC, Ogg and MP3, decoded to mono float32."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile

from voxmill.errors import DataError

Samples = npt.NDArray[np.float32]
AudioFault = Literal["unreadable_audio", "no_samples", "non_finite_audio"]


@dataclass(frozen=True, kw_only=True)
class Audio:
    """A decoded recording."""

    samples: Samples
    """(N,) mono float32 in [-1, 1]: the mean of the file's channels."""
    sample_rate_hz: int
    channels: int
    """Channels of the file, before mixing down."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.sample_rate_hz


class AudioError(DataError):
    """A recording that cannot be used.

    Attributes:
        name: The file, as messages call it.
        fault: Why, as manifests name it.
        detail: What was found.
    """

    def __init__(self, name: str, *, fault: AudioFault, detail: str) -> None:
        self.name = name
        self.fault = fault
        self.detail = detail
        super().__init__(f"Recording {name}: {detail}. Replace the file or take it out.")


def read_audio(source: bytes | Path, *, name: str | None = None) -> Audio:
    """Decodes a recording.

    Args:
        source: The file's content, or its path.
        name: What messages call it; the path where none is given.

    Raises:
        AudioError: The content is no audio, holds no samples, or holds NaN or infinity.
    """
    called = name or (str(source) if isinstance(source, Path) else "<bytes>")
    frames, rate = _decode(source, called)  # (N, channels)
    if frames.shape[0] == 0:
        raise AudioError(called, fault="no_samples", detail="the file holds a header, no samples")
    samples = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise AudioError(called, fault="non_finite_audio", detail="samples are NaN or infinite")
    mono = np.ascontiguousarray(samples, dtype=np.float32)  # (N,)
    return Audio(samples=mono, sample_rate_hz=rate, channels=frames.shape[1])


def _decode(source: bytes | Path, name: str) -> tuple[Samples, int]:
    content = source.read_bytes() if isinstance(source, Path) else source
    if not content:
        raise AudioError(name, fault="unreadable_audio", detail="the file is empty (0 bytes)")
    try:
        frames, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        detail = f"{len(content)} bytes that do not decode ({_reason(error)})"
        raise AudioError(name, fault="unreadable_audio", detail=detail) from error
    return frames, int(rate)


def _reason(error: Exception) -> str:
    """What libsndfile says, without the memory address of our buffer."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
