"""Recordings decode to mono float32, or say what is wrong with them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxmill.errors import DataError
from voxmill.signal.audio_file import AudioError, read_audio


def wav(frames: np.ndarray, *, rate: int = 8000, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, frames, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def test_channels_are_averaged() -> None:
    """A stereo file becomes the mean of its channels."""
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    audio = read_audio(wav(np.stack([left, right], axis=1)))
    assert audio.channels == 2
    assert audio.samples.shape == (100,)
    assert audio.samples.dtype == np.float32
    np.testing.assert_allclose(audio.samples, 0.125)


def test_sixteen_bits_come_through_exactly() -> None:
    """int16 in the file is value/32768 in the array, to the last bit."""
    values = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
    np.testing.assert_array_equal(read_audio(wav(values)).samples * 32768, values)


def test_real_recordings_give_their_duration(shared: Path) -> None:
    """FLAC and WAV files of real corpora decode at their own sample rates."""
    flac = next((shared / "data/librispeech-mini").rglob("*.flac"))
    digit = shared / "data/fsdd/recordings/7_george_3.wav"
    assert read_audio(flac).sample_rate_hz == 16000
    assert read_audio(digit).sample_rate_hz == 8000
    assert read_audio(digit).seconds == soundfile.info(digit).duration


@pytest.mark.parametrize(
    ("content", "fault", "words"),
    [
        (b"", "unreadable_audio", "0 bytes"),
        (b"this is a letter, not a song" * 9, "unreadable_audio", "do not decode"),
        (wav(np.zeros(0)), "no_samples", "no samples"),
        (wav(np.array([0.0, np.nan]), subtype="FLOAT"), "non_finite_audio", "NaN"),
    ],
)
def test_a_useless_file_is_named_with_its_fault(content: bytes, fault: str, words: str) -> None:
    """The error says which file, what is wrong, and keeps the fault for manifests."""
    with pytest.raises(AudioError, match=r"Recording r17\.wav") as caught:
        read_audio(content, name="r17.wav")
    assert isinstance(caught.value, DataError)
    assert caught.value.fault == fault
    assert words in str(caught.value)


def test_a_cut_flac_file_is_unreadable_not_short(shared: Path) -> None:
    """A compressed file that breaks off is a fault; it must not pass as a shorter recording."""
    flac = next((shared / "data/librispeech-mini").rglob("*.flac"))
    with pytest.raises(AudioError) as caught:
        read_audio(flac.read_bytes()[:2000], name="cut.flac")
    assert caught.value.fault == "unreadable_audio"
