"""Runs the stage train on the toy in several processes, to be stopped, killed and resumed.

What a process does is seen from outside: `rank-<number>.pid` beside prepare's output names each
one, and the journal and the checkpoints in the work folder tell how far they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from toys.family import ToyFamily, toy_recipe
from toys.linear import ToyBatches, ToyModel, toy_learner, toy_sequences
from voxmill.errors import VoxmillError
from voxmill.families.family import TrainingKit
from voxmill.stages.runner import StageOrder
from voxmill.stages.stage import Stage
from voxmill.stages.start import start_stage
from voxmill.stages.train import TrainStage
from voxmill.training.config import TrainConfig

CONFIG = TrainConfig(
    epochs=6,
    accumulation=3,
    learning_rate=0.05,
    warmup_steps=3,
    evaluate_every_steps=4,
    checkpoint_every_steps=3,
    keep_checkpoints=2,
    watch="loss",
    threads=1,
)


class TeamFamily(ToyFamily):
    """A model with a batch norm; in several processes nothing in it is random but dropout."""

    def __init__(self, *, dropout: float, delay_seconds: float, fails_in_rank: int | None):
        super().__init__()
        self._dropout = dropout
        self._delay_seconds = delay_seconds
        self._fails_in_rank = fails_in_rank

    def kit(self, *, prepared, utterances, model, train, stop):
        rank = int(os.environ.get("RANK", "0"))
        (prepared.parent / f"rank-{rank}.pid").write_text(str(os.getpid()))
        if rank == self._fails_in_rank:
            raise TypeError("a bug in one process")
        batches = ToyBatches(
            toy_sequences(len(utterances)), seed=train.seed, delay_seconds=self._delay_seconds
        )
        network = ToyModel(self._dropout, norm=True)
        return TrainingKit(
            learner=toy_learner(train, batches, model=network),
            batches=batches,
            validation=ToyBatches(toy_sequences(20, seed=8)),
            notes={"parameters": 10.0},
        )


class Load:
    """Gives the stage train around that family; can be sent to another process."""

    def __init__(
        self, *, dropout: float = 0.0, delay_seconds: float = 0.0, fails_in_rank: int | None = None
    ):
        self._settings = {
            "dropout": dropout,
            "delay_seconds": delay_seconds,
            "fails_in_rank": fails_in_rank,
        }

    def __call__(self, name: str) -> Stage:
        return TrainStage(lambda _: TeamFamily(**self._settings))


def order(folder: Path, attempt: int = 1, config: TrainConfig = CONFIG) -> StageOrder:
    """One try in a folder that holds `prepare`."""
    return StageOrder(
        stage="train",
        recipe=toy_recipe(config),
        inputs={"prepare": folder / "prepare"},
        out=folder / f"out.{attempt}",
        work=folder / "work",
        attempt=attempt,
    )


def run(folder: Path, attempt: int, processes: int, load: Load) -> None:
    """One try; ends the process with its exit code, and leaves its last word in a file."""
    try:
        start_stage(order(folder, attempt), processes=processes, load=load)
    except VoxmillError as error:
        (folder / f"said.{attempt}").write_text(str(error))
        sys.exit(error.exit_code)
