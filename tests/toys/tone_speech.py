"""A made-up language in which each letter is a tone: learnable in seconds, provably."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxmill.corpus.manifest import write_lines
from voxmill.corpus.shards import ShardWriter
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig
from voxmill.families.ctc.family import CtcFamily

RATE_HZ = 8000
TONES_HZ = {"a": 400.0, "b": 900.0, "c": 1500.0, "d": 2400.0}
LETTER_SECONDS = 0.12

MODEL = CtcModelConfig(
    sample_rate_hz=RATE_HZ,
    mel_bins=40,
    encoder=ConformerEncoder(
        d_model=32, layers=1, heads=2, d_ff=64, kernel=7, subsampling_channels=8, dropout=0.0
    ),
)


def say(text: str, generator: np.random.Generator, rate_hz: int = RATE_HZ) -> np.ndarray:
    """The text as tones with short gaps; (N,) float32."""
    gap = np.zeros(int(0.03 * rate_hz))
    pieces = [gap]
    for letter in text:
        seconds = LETTER_SECONDS * generator.uniform(0.8, 1.2)
        time = np.arange(int(seconds * rate_hz)) / rate_hz
        tone = np.sin(2 * np.pi * TONES_HZ[letter] * time) if letter in TONES_HZ else 0 * time
        pieces += [0.3 * tone, gap]
    wave = np.concatenate(pieces)
    return (wave + 0.003 * generator.standard_normal(len(wave))).astype(np.float32)


def write_prepared(
    folder: Path, *, utterances: int = 24, words: int = 2, model: CtcModelConfig = MODEL
) -> list[PreparedUtterance]:
    """Writes what prepare writes: shards, utterances.jsonl and tokenizer/."""
    generator = np.random.default_rng(7)
    texts = [_text(generator, words) for _ in range(utterances)]
    CtcFamily().tokenizer(texts, model, folder / "tokenizer")
    labels = CtcFamily().encode(folder / "tokenizer", texts)
    prepared = []
    with ShardWriter(folder / "shards", max_bytes=200_000) as shards:
        for number, text in enumerate(texts):
            place = shards.add(say(text, generator, model.sample_rate_hz))
            prepared.append(
                PreparedUtterance(
                    id=f"u{number:03d}",
                    split=("train", "train", "train", "validation", "train", "test")[number % 6],
                    shard=place.shard,
                    offset_samples=place.offset_samples,
                    samples=place.samples,
                    text=text,
                    text_original=text,
                    labels=labels[number],
                    speaker=f"s{number % 3}",
                    subset="all",
                    part="tones",
                )
            )
    write_lines(folder / "utterances.jsonl", prepared)
    return prepared


def _text(generator: np.random.Generator, words: int) -> str:
    count = int(generator.integers(1, words + 1))
    return " ".join(
        "".join(generator.choice(list(TONES_HZ), size=generator.integers(2, 5)))
        for _ in range(count)
    )
