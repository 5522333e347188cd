"""Spoken digits from espeak-ng: as many voices and hours as asked for, from nothing.

Good for demos, plumbing and as an addition to few real recordings; no stand-in for real speech.
Language: English in eight accents. Licence of the speech: none of its own; espeak-ng is GPL-3.0
and is loaded only by this source. https://github.com/espeak-ng/espeak-ng
"""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from voxmill.corpus.ordered_map import ordered_map
from voxmill.corpus.sources.config import SyntheticSource
from voxmill.corpus.sources.espeak import SAMPLE_RATE_HZ, SpeechError, speak
from voxmill.corpus.sources.listing import Listing
from voxmill.corpus.sources.source import Mirrored, Target
from voxmill.corpus.sources.voices import Line, Speaker, lines, speakers
from voxmill.corpus.utterance import SourceUtterance
from voxmill.errors import EngineMissing
from voxmill.signal.resample import resample

FILE_SAMPLE_RATE_HZ = 16000
VERSION = 1
"""Raised whenever the same settings would give other samples."""

_SPEECH_PEAK = 0.9
Samples = npt.NDArray[np.float32]


class Synthetic:
    """Source `synthetic`."""

    def __init__(self, config: SyntheticSource, *, part: str) -> None:
        """Speaks nothing yet."""
        self._config = config
        self._part = part

    def listing(self, *, cache: Path | None = None) -> Listing:
        """The settings stand for the data that they give."""
        settings = self._config.model_dump(mode="json", exclude={"kind"})
        return Listing.of("synthetic", {}, version=VERSION, **settings)

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Speaks every utterance, one process for each speaker, on all cores.

        Raises:
            EngineMissing: espeak-ng is not installed or does not work here.
        """
        utterances: list[SourceUtterance] = []
        left_out: set[str] = set()
        try:
            for spoken in ordered_map(self._spoken_by, self._speakers()):
                for utterance, content in spoken:
                    if utterance.id in leave_out:
                        left_out.add(utterance.audio)
                        continue
                    target.add(utterance.audio, content)
                    utterances.append(utterance)
        except SpeechError as error:
            raise EngineMissing(
                f"Synthetic source: espeak-ng does not speak here ({error}). Install the extra "
                "`workshop`, which brings espeakng-loader."
            ) from error
        return Mirrored(utterances=tuple(utterances), problems=(), left_out=frozenset(left_out))

    def _speakers(self) -> list[tuple[int, Speaker]]:
        """Numbered; with fewer utterances than voices the last ones have nothing to say."""
        return list(enumerate(speakers(self._config)[: self._config.utterances]))

    def _spoken_by(self, numbered: tuple[int, Speaker]) -> list[tuple[SourceUtterance, bytes]]:
        """All utterances of one speaker; speakers take turns, so counts differ by one at most."""
        number, speaker = numbered
        count = len(range(number, self._config.utterances, self._config.voices))
        said = lines(self._config, speaker, count)
        spoken = speak(
            speaker.voice,
            [(line.text, line.words_per_minute) for line in said],
            pitch=speaker.pitch,
            pitch_range=speaker.pitch_range,
        )
        return [
            (self._utterance(speaker, i, line), _recorded(samples, line, speaker))
            for i, (line, samples) in enumerate(zip(said, spoken, strict=True))
        ]

    def _utterance(self, speaker: Speaker, number: int, line: Line) -> SourceUtterance:
        name = f"{speaker.name}-{number:06d}"
        return SourceUtterance(
            id=name,
            audio=f"{speaker.name}/{name}.wav",
            text=line.text,
            speaker=speaker.name,
            subset="all",
            part=self._part,
        )


def _recorded(spoken: bytes, line: Line, speaker: Speaker) -> bytes:
    """Speech as a microphone might have taken it, as a WAV file (int16, 16 kHz)."""
    raw = np.frombuffer(spoken, "<i2").astype(np.float32) / np.float32(32768)  # (N,)
    speech = resample(raw, from_hz=SAMPLE_RATE_HZ, to_hz=FILE_SAMPLE_RATE_HZ)  # (M,)
    before, after = (
        round(seconds * FILE_SAMPLE_RATE_HZ)
        for seconds in (line.silence_before_seconds, line.silence_after_seconds)
    )
    padded = np.pad(_coloured(speech, speaker), (before, after))  # (M + silence,)
    noise = np.random.Generator(np.random.PCG64(line.noise_seed)).standard_normal(
        len(padded), dtype=np.float32
    )
    heard = padded + np.float32(speaker.noise) * noise
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(np.rint(heard * 32767), -32768, 32767).astype(np.int16),
        FILE_SAMPLE_RATE_HZ,
        format="WAV",
        subtype="PCM_16",
    )
    return buffer.getvalue()


def _coloured(speech: Samples, speaker: Speaker) -> Samples:
    """The speaker's microphone: y[n] = x[n] - tilt * x[n-1], then the speaker's loudness."""
    coloured = speech.copy()
    coloured[1:] -= np.float32(speaker.tilt) * speech[:-1]
    peak = max(float(np.abs(coloured).max(initial=0.0)), 1e-6)
    return coloured * np.float32(_SPEECH_PEAK * speaker.gain / peak)
