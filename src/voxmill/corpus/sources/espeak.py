"""espeak-ng in a process of its own: lines of text in, 16-bit samples out.

One process serves one speaker. The library keeps the phase of its voice from one utterance to the
next and has no reset; a fresh process for each speaker makes the samples a function of that
speaker's lines alone. It is also not safe for threads. A process costs 0.1 s, a line 1-2 ms.

Run as `python -m voxmill.corpus.sources.espeak`; stdin: one JSON request; stdout: for each line
its byte count (8 bytes, little endian) and its samples (int16, little endian, 22050 Hz).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SAMPLE_RATE_HZ = 22050
"""What espeak-ng speaks at."""

_RETRIEVAL = 1  # espeak_AUDIO_OUTPUT: hand samples to the callback, play nothing
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_OK = 0
_SIZE_BYTES = 8
_TIMEOUT_SECONDS = 600


class SpeechError(RuntimeError):
    """espeak-ng did not speak; the message holds its last words."""


def speak(
    voice: str, lines: Iterable[tuple[str, int]], *, pitch: int, pitch_range: int
) -> list[bytes]:
    """What a voice says, line by line.

    Args:
        voice: Language and variant, such as `en-us+f2`.
        lines: Text and words per minute of each.
        pitch: 0-99.
        pitch_range: 0-99.

    Returns:
        For each line its samples: int16, little endian, mono, at `SAMPLE_RATE_HZ`.

    Raises:
        SpeechError: The library is missing, knows no such voice, or died.
    """
    asked = list(lines)
    request = {"voice": voice, "pitch": pitch, "pitch_range": pitch_range, "lines": asked}
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "voxmill.corpus.sources.espeak"],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    spoken = list(_unpacked(answer.stdout))
    if answer.returncode != 0 or len(spoken) != len(asked):
        last = answer.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise SpeechError(f"voice {voice}: {last or f'exit code {answer.returncode}'}")
    return spoken


def _unpacked(answer: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(answer):
        size = int.from_bytes(answer[place : place + _SIZE_BYTES], "little")
        place += _SIZE_BYTES
        yield answer[place : place + size]
        place += size


class _Espeak:
    """The library, started; there is one for a process."""

    def __init__(self) -> None:
        import espeakng_loader

        self._chunks: list[bytes] = []
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        rate = self._library.espeak_Initialize(_RETRIEVAL, 0, data, 0)
        if rate != SAMPLE_RATE_HZ:
            raise SpeechError(f"espeak-ng did not start: {rate}, expected {SAMPLE_RATE_HZ} Hz")
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = kind(self._take)  # must live as long as the library calls it
        self._library.espeak_SetSynthCallback(self._callback)

    def choose(self, voice: str, *, pitch: int, pitch_range: int) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise SpeechError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._library.espeak_SetParameter(_RANGE, pitch_range, 0)

    def say(self, text: str, words_per_minute: int) -> bytes:
        self._chunks.clear()
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        content = text.encode()
        status = self._library.espeak_Synth(
            content, ctypes.c_size_t(len(content) + 1), 0, 1, 0, _UTF8, None, None
        )
        self._library.espeak_Synchronize()
        spoken = b"".join(self._chunks)
        if status != _OK or not spoken:
            raise SpeechError(f"espeak-ng said nothing to {text!r} (status {status})")
        return spoken

    def _take(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0


def main() -> None:
    """Serves one request."""
    request = json.load(sys.stdin)
    espeak = _Espeak()
    espeak.choose(request["voice"], pitch=request["pitch"], pitch_range=request["pitch_range"])
    for text, words_per_minute in request["lines"]:
        spoken = espeak.say(text, words_per_minute)
        sys.stdout.buffer.write(len(spoken).to_bytes(_SIZE_BYTES, "little") + spoken)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
