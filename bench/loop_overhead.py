"""What the training loop costs a step over a bare PyTorch loop, in one run.

    python bench/loop_overhead.py

Both loops do the same arithmetic on the same batches: forward, backward, clipping, AdamW, learning
rate. The voxmill loop adds learner, prefetching, journal, progress and the question whether to
stop. Blocks of the two alternate, so that a busy machine slows both alike; the median counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from voxmill.observability.journal import JournalRecorder
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig
from voxmill.training.loop import Training, train
from voxmill.training.optimiser import adamw
from voxmill.training.progress import LogProgress
from voxmill.training.schedule import schedule_for
from voxmill.training.supervised import SummedLoss, SupervisedLearner

STEPS = 400
BLOCKS = 15


def network() -> nn.Module:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for _ in range(6):
        layers += [nn.Linear(128, 128), nn.LayerNorm(128), nn.ReLU()]
    return nn.Sequential(*layers)


BATCHES = [torch.randn(16, 128, generator=torch.Generator().manual_seed(i)) for i in range(8)]


@dataclass
class Batches:
    count: int

    def batch_count(self, epoch: int) -> int:
        return self.count

    def batch(self, epoch: int, position: int) -> torch.Tensor:
        return BATCHES[position % len(BATCHES)]


class Objective:
    def loss(self, model: nn.Module, batch: torch.Tensor) -> SummedLoss:
        return SummedLoss(
            total=(model(batch) ** 2).sum(),
            weight=float(len(batch)),
            values={"utterances": float(len(batch)), "audio_seconds": 60.0},
        )

    def validate(self, model, batches) -> dict[str, float]:
        return {"loss": sum(float(model(batch).sum()) for batch in batches)}


Times = tuple[float, float]
"""Elapsed seconds, and CPU seconds of all threads: a busy machine lengthens only the former."""


def now() -> Times:
    return time.perf_counter(), time.process_time()


def per_step(begin: Times, end: Times) -> Times:
    return (end[0] - begin[0]) / STEPS, (end[1] - begin[1]) / STEPS


CONFIG = TrainConfig(epochs=1, max_steps=STEPS, watch="loss", checkpoint_every_steps=10**9)


def bare_seconds_per_step() -> Times:
    model = network()
    optimiser = adamw(model, CONFIG.learning_rate, CONFIG.weight_decay)
    schedule = schedule_for(CONFIG, Batches(STEPS))
    parameters = list(model.parameters())
    started = now()
    for step in range(STEPS):
        batch = BATCHES[step % len(BATCHES)]
        loss = (model(batch) ** 2).sum() / len(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, CONFIG.clip_norm)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step + 1)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        float(loss.detach()), float(norm)
    return per_step(started, now())


class Stopwatch:
    """Times the steps alone: evaluations and checkpoints are no part of a step."""

    def __init__(self, learner: SupervisedLearner) -> None:
        self._learner = learner
        self.begin = self.end = (0.0, 0.0)

    def step(self, window):
        if not self.begin[0]:
            self.begin = now()
        values = self._learner.step(window)
        self.end = now()
        return values

    def __getattr__(self, name: str):
        return getattr(self._learner, name)


def loop_seconds_per_step(folder: Path) -> Times:
    batches = Batches(STEPS)
    learner = SupervisedLearner(network(), Objective(), CONFIG, schedule_for(CONFIG, batches))
    watch = Stopwatch(learner)
    with JournalRecorder(folder / "journal", attempt=1) as recorder:
        train(
            Training(
                learner=watch,
                batches=batches,
                validation=Batches(1),
                config=CONFIG,
                checkpoints=CheckpointStore(folder / "checkpoints", 1),
                recorder=recorder,
                progress=LogProgress(clock=time.monotonic),
            )
        )
    # From the first step's begin to the last one's end lies all that the loop does between them.
    return per_step(watch.begin, watch.end)


def main() -> None:
    torch.set_num_threads(1)
    bare_seconds_per_step()  # imports what PyTorch imports at the first step
    bare, looped = [], []
    for _ in range(BLOCKS):
        bare.append(bare_seconds_per_step())
        with tempfile.TemporaryDirectory() as folder:
            looped.append(loop_seconds_per_step(Path(folder)))
    print(f"{'milliseconds a step':24}{'elapsed':>10}{'of CPU':>10}")
    for name, blocks in (("bare PyTorch loop", bare), ("voxmill loop", looped)):
        print(f"{name:24}{_median(blocks, 0):10.3f}{_median(blocks, 1):10.3f}")
    differences = [
        (loop[0] - plain[0], loop[1] - plain[1]) for loop, plain in zip(looped, bare, strict=True)
    ]
    print(f"{'overhead':24}{_median(differences, 0):10.3f}{_median(differences, 1):10.3f}")


def _median(blocks: list[Times], which: int) -> float:
    return 1000 * statistics.median(block[which] for block in blocks)


if __name__ == "__main__":
    main()
