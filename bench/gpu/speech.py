"""What `gpu_training.py` trains on and from: made-up speech, and WavLM-base with random weights.

A word is a voiced sound with harmonics of its own under a little noise, so that a network can learn
which is which: loss curves then fall, and two precisions can be told apart by them. Throughput does
not depend on what is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel
from transformers.utils import logging

from voxmill.corpus.manifest import write_lines
from voxmill.corpus.shards import ShardWriter
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.family import CtcFamily

RATE_HZ = 16000
WORDS_PER_SECOND = 2.5
HARMONICS = 6
VALIDATION = 2
"""The loop measures before the first step and at the end, outside the time that is measured."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """How much is said."""

    utterances: int
    shortest_seconds: float
    longest_seconds: float
    words: int
    """In the language; a vocabulary of 2000 pieces needs some thousands."""


def write_prepared(
    folder: Path, corpus: Corpus, model: CtcModelConfig, sizes: dict[str, object]
) -> None:
    """Writes what prepare writes: shards, utterances.jsonl, tokenizer and the base model."""
    write_base(folder / "base", sizes)
    random = np.random.default_rng(1)
    lexicon = sorted({_word(random) for _ in range(corpus.words)})
    span = (corpus.shortest_seconds, corpus.longest_seconds)
    lengths = random.uniform(*span, corpus.utterances + VALIDATION)  # seconds
    said = [random.integers(len(lexicon), size=_word_count(seconds)) for seconds in lengths]
    texts = [" ".join(lexicon[word] for word in words) for words in said]
    family = CtcFamily()
    family.tokenizer(texts, model, folder / "tokenizer")
    labels = family.encode(folder / "tokenizer", texts)
    prepared = []
    with ShardWriter(folder / "shards", max_bytes=2**28) as shards:
        for number, (text, words, seconds) in enumerate(zip(texts, said, lengths, strict=True)):
            place = shards.add(_sound(words, seconds, random))
            prepared.append(
                PreparedUtterance(
                    id=f"u{number:05d}",
                    split="validation" if number < VALIDATION else "train",
                    shard=place.shard,
                    offset_samples=place.offset_samples,
                    samples=place.samples,
                    text=text,
                    text_original=text,
                    labels=labels[number],
                    speaker=f"s{number % 20}",
                    subset="all",
                    part="made-up",
                )
            )
    write_lines(folder / "utterances.jsonl", prepared)


def write_base(folder: Path, sizes: dict[str, object]) -> None:
    """WavLM as ingest mirrors it; transformers' default sizes are those of microsoft/wavlm-base."""
    logging.disable_progress_bar()
    torch.manual_seed(1)
    WavLMModel(WavLMConfig(**sizes)).save_pretrained(str(folder))
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(str(folder))


def _word_count(seconds: float) -> int:
    return max(1, round(WORDS_PER_SECOND * seconds))


def _word(random: np.random.Generator) -> str:
    syllables = random.integers(1, 4)
    return "".join(
        random.choice(list("bdfgklmnprstvz")) + random.choice(list("aeiou"))
        for _ in range(syllables)
    )


def _sound(words: np.ndarray, seconds: float, random: np.random.Generator) -> np.ndarray:
    """(N,) float32: each word takes its share of the time."""
    ends = np.linspace(0, round(seconds * RATE_HZ), len(words) + 1).astype(int)
    wave = 0.01 * random.standard_normal(ends[-1])
    for word, begin, end in zip(words, ends, ends[1:], strict=False):
        own = np.random.default_rng(word)  # the word's pitch and timbre, whoever says it
        time = np.arange(end - begin) / RATE_HZ
        pitch_hz, loudness = own.uniform(90, 260), own.uniform(0, 0.08, HARMONICS)
        for harmonic in range(HARMONICS):
            wave[begin:end] += loudness[harmonic] * np.sin(
                2 * np.pi * pitch_hz * (harmonic + 1) * time
            )
    return wave.astype(np.float32)
