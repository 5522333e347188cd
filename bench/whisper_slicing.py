"""Whisper's encoder over what was said, against padding to 30 s: accuracy and time in one run.

`python bench/whisper_slicing.py --package PACKAGE --prepared PREPARE [--test-set test-other]`

Both ways use the same released weights and one thread; features and greedy decoding are left out
of the time. `padded` is transformers' own forward pass over 30 s of features, of which the frames
of the utterance are decoded: what a model would cost that is trained and served as Whisper is.
The weights were trained sliced, so its accuracy is that of a model outside its habits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from voxmill.corpus.manifest import read_lines
from voxmill.corpus.shards import ShardReader
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.decode import greedy
from voxmill.families.ctc.hearing import batch_frontend, whisper_hearing
from voxmill.families.ctc.modeling_voxformer import VoxformerForCTC
from voxmill.scoring.error_rates import score_utterances, total
from voxmill.text.tokenizer import TextTokenizer

Scores = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def sliced(network: VoxformerForCTC) -> Scores:
    """Our forward pass: (1, T, F) features and (1,) frames in, (S, V) scores out."""
    hearing = whisper_hearing(network.encoder.config.num_mel_bins)

    def run(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = network(**hearing.arguments(features, frames)).logits[0]
        return scores

    return run


def padded(network: VoxformerForCTC) -> Scores:
    """The encoder's own forward pass over 30 s."""
    if len(network.blocks):
        raise SystemExit("This bench compares encoders: take a package without conformer blocks.")
    full = 2 * network.encoder.config.max_source_positions

    def run(features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        silence = features.max() - 2  # what the extractor makes of silence: 80 dB below the loudest
        whole = silence.repeat(1, full, features.shape[2])
        whole[:, : features.shape[1]] = features
        hidden = network.encoder(whole.transpose(1, 2)).last_hidden_state
        scores: torch.Tensor = network.head(hidden)[0, : int(frames[0] + 1) // 2]
        return scores

    return run


def measure(
    way: Scores, heard: Sequence[tuple[torch.Tensor, torch.Tensor]], text: TextTokenizer
) -> tuple[list[str], float]:
    """Transcripts, and the seconds that the network took."""
    transcripts, seconds = [], 0.0
    with torch.inference_mode():
        for features, frames in heard:
            started = time.perf_counter()
            scores = way(features, frames)
            seconds += time.perf_counter() - started
            transcripts.append(text.decode(greedy(scores.log_softmax(-1).numpy())).strip())
    return transcripts, seconds


def main() -> None:
    """Prints one line for each way, and the ratio of their times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--test-set", default="test-other")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    network = VoxformerForCTC.from_pretrained(str(asked.package / "hf"), local_files_only=True)
    network = network.eval()
    text = TextTokenizer.from_folder(asked.package / "hf")
    utterances = [
        one
        for one in read_lines(asked.prepared / "utterances.jsonl", PreparedUtterance)
        if one.split == asked.test_set
    ]
    frontend = batch_frontend(whisper_hearing(network.encoder.config.num_mel_bins).frontend)
    reader = ShardReader(asked.prepared / "shards")
    heard = [frontend([reader.samples(one)]) for one in utterances]
    audio = sum(one.samples for one in utterances) / 16000
    took: dict[str, float] = {}
    read: dict[str, list[str]] = {}
    for name, way in (("sliced", sliced(network)), ("padded", padded(network))):
        read[name], took[name] = measure(way, heard, text)
        score = total(score_utterances([one.text for one in utterances], read[name]))
        print(
            f"{name}: WER {score.wer:.4f}, CER {score.cer:.4f}, {took[name]:.2f} s for "
            f"{audio:.0f} s of speech (real-time factor {took[name] / audio:.4f})"
        )
    other = sum(a != b for a, b in zip(read["sliced"], read["padded"], strict=True))
    print(f"{other} of {len(utterances)} transcripts differ")
    print(f"padded / sliced: {took['padded'] / took['sliced']:.2f} times the time")


if __name__ == "__main__":
    main()
