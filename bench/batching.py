"""Padding, evenness and speed of quantile-bucketed batches against random ones, in one run.

    python bench/batching.py

Durations: a LibriSpeech-like mixture (1-17 s, most between 12 and 16 s), and the real ones of
`$VOXMILL_SHARED` (default ../shared) where they are. Speed is measured on mixed lengths with a
small network: both kinds of batches hold as many utterances on average.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from voxmill.training.batching import BucketPlan

BUDGET_SECONDS = 300.0
SMALL_BUDGET_SECONDS = 120.0  # for a few hundred utterances: batches must stay many
BUCKETS = 100
FRAMES_PER_SECOND = 25


def librispeech_like(count: int, random: np.random.Generator) -> np.ndarray:
    long = random.normal(14.3, 1.2, count)
    rest = random.uniform(1.4, 14.0, count)
    return np.clip(np.where(random.random(count) < 0.7, long, rest), 1.0, 17.0)


def mixed(count: int, random: np.random.Generator) -> np.ndarray:
    """Commands, sentences and read paragraphs: 0.5 to 20 s, most of them short."""
    return np.clip(random.lognormal(1.0, 0.8, count), 0.5, 20.0)


def real() -> np.ndarray:
    import soundfile

    shared = Path(os.environ.get("VOXMILL_SHARED", Path(__file__).parents[2] / "shared"))
    files = sorted((shared / "data").glob("librispeech-*/**/*.flac"))
    return np.array([soundfile.info(file).duration for file in files])


def plan_of(durations: np.ndarray) -> BucketPlan:
    few = len(durations) < 10_000
    budget = SMALL_BUDGET_SECONDS if few else BUDGET_SECONDS
    return BucketPlan(durations, budget, 512, BUCKETS, seed=1)


def random_batches(durations: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.random.default_rng(2).permutation(len(durations))
    return np.array_split(order, count)


def quality(durations: np.ndarray, batches: list[np.ndarray]) -> tuple[float, float]:
    padded = np.array([durations[batch].max() * len(batch) for batch in batches])
    return 1 - durations.sum() / padded.sum(), padded.max() / padded.mean()


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(40, 64, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(64, 64, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(64, 30, 1),
    )


def seconds_of_an_epoch(durations: np.ndarray, batches: list[np.ndarray]) -> float:
    """CPU seconds of forward and backward over every batch, padded to its longest utterance."""
    model = network()
    inputs = [
        torch.zeros(len(batch), 40, int(durations[batch].max() * FRAMES_PER_SECOND))
        for batch in batches
    ]
    model(inputs[0]).sum().backward()
    started = time.process_time()
    for batch in inputs:
        model(batch).sum().backward()
    return time.process_time() - started


def main() -> None:
    random = np.random.default_rng(1)
    sets = {"LibriSpeech-like, 28,000": librispeech_like(28_000, random)}
    recordings = real()
    if len(recordings):
        sets[f"real LibriSpeech, {len(recordings)}"] = recordings
    sets["mixed lengths, 3,000"] = mixed(3_000, random)
    print(
        f"{BUCKETS} buckets, budget {BUDGET_SECONDS:.0f} s; {SMALL_BUDGET_SECONDS:.0f} s for sets "
        "below 10,000 utterances\n"
    )
    print(f"{'durations':28}{'batches':>9}{'padding':>9}{'max/mean':>10}  random: padding max/mean")
    for name, durations in sets.items():
        plan = plan_of(durations)
        padding, evenness = quality(durations, plan.batches(0))
        other, uneven = quality(durations, random_batches(durations, plan.batch_count))
        print(
            f"{name:28}{plan.batch_count:9}{padding:9.2%}{evenness:10.3f}{other:17.1%}{uneven:9.2f}"
        )
    torch.set_num_threads(1)
    durations = sets["mixed lengths, 3,000"]
    plan = plan_of(durations)
    ratios = []
    for epoch in range(3):  # alternating, so that a busy machine slows both alike
        bucketed = seconds_of_an_epoch(durations, plan.batches(epoch))
        shuffled = seconds_of_an_epoch(durations, random_batches(durations, plan.batch_count))
        ratios.append(shuffled / bucketed)
    print(f"\nthroughput on mixed lengths: {np.median(ratios):.2f}x random batching")


if __name__ == "__main__":
    main()
