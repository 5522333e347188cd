"""What one process trains, and what it tells: a variant of `gpu_training.py`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from gpu.window import Window, graphs
from torch._dynamo.utils import counters as dynamo_counters

from voxmill.corpus.manifest import read_lines
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.catalogue import load_family
from voxmill.families.ctc.batch import CtcBatch
from voxmill.families.family import TrainingKit
from voxmill.recipe.reading import read_recipe
from voxmill.recipe.recipe import Recipe

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "voxformer.yaml"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to train; travels as JSON."""

    framework: str
    """`voxmill` or `trainer`."""
    overrides: list[str]
    """Of the recipe `voxformer`."""
    prepared: str
    work: str
    warm_up: int
    """Updates before those that are measured."""
    updates: int
    compile_backend: str
    """`torch.compile`'s; empty: not compiled."""
    trainer_workers: int
    """Loading processes of transformers' Trainer; ours is one thread."""

    @cached_property
    def recipe(self) -> Recipe:
        return read_recipe(RECIPE, self.overrides)

    @property
    def micro_batches(self) -> int:
        return (self.warm_up + self.updates) * self.recipe.train.accumulation


class OneEpoch:
    """The batches of all epochs in a row, as one epoch: no evaluation comes between."""

    def __init__(self, source: Any, count: int) -> None:
        self._source = source
        self._epoch = source.batch_count(0)
        self._count = count

    def batch_count(self, epoch: int) -> int:
        return self._count

    def batch(self, epoch: int, position: int) -> CtcBatch:
        return self._source.batch(position // self._epoch, position % self._epoch)


def kit_of(job: Job) -> TrainingKit:
    """What the stage train would get, on the same seed each time."""
    prepared = Path(job.prepared)
    return load_family(job.recipe.family).kit(
        prepared=prepared,
        utterances=read_lines(prepared / "utterances.jsonl", PreparedUtterance),
        model=job.recipe.model,
        train=job.recipe.train,
        stop=lambda: False,
    )


def result_of(
    job: Job,
    kit: TrainingKit,
    window: Window,
    *,
    losses: list[float],
    audio: list[float],
    wait: float,
) -> dict[str, Any]:
    """The figures of a variant.

    Args:
        job: What was trained.
        kit: What with.
        window: Closed.
        losses: Of each update, warm-up included.
        audio: Seconds of speech in each update, warm-up included.
        wait: Seconds without data in the measured updates.
    """
    seconds = window.ends[-1] - window.ends[job.warm_up - 1]
    heard = sum(audio[job.warm_up :])
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "parameters": kit.notes["parameters"],
        "learning_parameters": kit.notes["learning_parameters"],
        "padding_share": kit.notes["padding_share"],
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "warm_up_seconds": window.warm_up_seconds,
        "seconds": seconds,
        "audio_seconds": heard,
        "audio_seconds_per_second": heard / seconds,
        "data_wait_share": wait / seconds,
        "busy_share": window.busy_share,
        "busy_trouble": window.trouble,
        "peak_memory_bytes": window.peak_bytes,
        "graphs": graphs(),
        "graphs_after_warm_up": graphs() - window.warm_up_graphs,
        "graph_breaks": sum(dynamo_counters["graph_break"].values()),
        "losses": losses,
    }
