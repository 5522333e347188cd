"""Who speaks in synthetic data: speakers drawn from espeak-ng's accents and voice variants."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from voxmill.corpus.sources.config import SyntheticSource

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

ACCENTS = (
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)
"""Languages of espeak-ng with a pronunciation of their own."""

VARIANTS = (
    "Alex",
    "Andrea",
    "Andy",
    "Annie",
    "Denis",
    "Diogo",
    "Gene",
    "Gene2",
    "Henrique",
    "Hugo",
    "Jacky",
    "Lee",
    "Marco",
    "Mario",
    "Michael",
    "Mike",
    "adam",
    "anika",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "croak",
    "david",
    "ed",
    "edward",
    "edward2",
    "f1",
    "f4",
    "gustave",
    "ian",
    "iven",
    "iven2",
    "iven3",
    "john",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "linda",
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "marcelo",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "shelby",
    "steph",
    "steph2",
    "steph3",
    "travis",
    "zac",
)
"""Throats: variants that sound like people. Whispers and robots are left out, and so is every
variant with `breath`: espeak-ng's breath is not the same from process to process."""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """One synthetic speaker."""

    name: str
    voice: str
    """As espeak-ng names it: accent+variant."""
    pitch: int
    """0-99, 50 is the variant's own."""
    pitch_range: int
    """0-99: how lively."""
    words_per_minute: int
    """The speaker's habit; single utterances are a little quicker or slower."""
    gain: float
    """Loudness, 0-1."""
    tilt: float
    """Colour of the microphone: first-order filter, above 0 thinner, below 0 duller."""
    noise: float
    """Standard deviation of the room's noise, full scale 1."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a speaker says once, and how."""

    text: str
    words_per_minute: int
    silence_before_seconds: float
    silence_after_seconds: float
    noise_seed: int


def speakers(config: SyntheticSource) -> list[Speaker]:
    """The speakers of a data set; more voices leave the earlier ones as they are."""
    order = _generator(config.seed, "voices").permutation(len(ACCENTS) * len(VARIANTS))
    return [_speaker(config, number, int(order[number])) for number in range(config.voices)]


def lines(config: SyntheticSource, speaker: Speaker, count: int) -> list[Line]:
    """What a speaker says; more lines leave the earlier ones as they are."""
    return [_line(config, speaker, number) for number in range(count)]


def _speaker(config: SyntheticSource, number: int, combination: int) -> Speaker:
    name = f"voice{number:03d}"
    draw = _generator(config.seed, name)
    accent, variant = divmod(combination, len(VARIANTS))
    return Speaker(
        name=name,
        voice=f"{ACCENTS[accent]}+{VARIANTS[variant]}",
        pitch=int(draw.integers(30, 71)),
        pitch_range=int(draw.integers(25, 76)),
        words_per_minute=int(
            draw.integers(config.min_words_per_minute, config.max_words_per_minute + 1)
        ),
        gain=float(draw.uniform(0.35, 0.95)),
        tilt=float(draw.uniform(-0.3, 0.3)),
        noise=float(10 ** draw.uniform(-4.0, -2.7)),  # about 30 to 60 dB below the speech
    )


def _line(config: SyntheticSource, speaker: Speaker, number: int) -> Line:
    draw = _generator(config.seed, f"{speaker.name}/{number}")
    length = int(draw.integers(config.min_words, config.max_words + 1))
    pace = round(speaker.words_per_minute * float(draw.uniform(0.92, 1.08)))
    before, after = (round(float(draw.uniform(0.02, 0.2)), 3) for _ in range(2))
    return Line(
        text=" ".join(WORDS[digit] for digit in draw.integers(0, len(WORDS), length)),
        words_per_minute=min(max(pace, config.min_words_per_minute), config.max_words_per_minute),
        silence_before_seconds=before,
        silence_after_seconds=after,
        noise_seed=int(draw.integers(2**32)),
    )


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose, so that one draw more here shifts nothing there."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
