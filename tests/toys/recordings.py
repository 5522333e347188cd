"""Small recordings and utterances, made on the spot."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from voxmill.corpus.utterance import SourceUtterance


def wav_bytes(*, seconds: float = 0.5, hz: float = 440.0, rate: int = 8000) -> bytes:
    """A tone as a 16-bit WAV file."""
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, tone, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def write_wav(
    path: Path, *, seconds: float = 0.5, hz: float | None = None, rate: int = 8000
) -> Path:
    """A tone in a file; its pitch follows the path, so that no two files are alike."""
    pitch = 200.0 + sum(path.name.encode()) % 997 if hz is None else hz
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(seconds=seconds, hz=pitch, rate=rate))
    return path


def utterance(name: str, **fields: str) -> SourceUtterance:
    """An utterance with plain values for whatever is not named."""
    values = {
        "audio": f"{name}.wav",
        "text": "one",
        "speaker": "ann",
        "subset": "all",
        "part": "source",
    }
    return SourceUtterance(id=name, **{**values, **fields})
