"""Runs the stage train on the toy in a process of its own, to be stopped and killed.

The process says through a pipe what it is doing (`learning`, `evaluating`) and ends with the exit
code of the stage command.
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path

from toys.family import ToyFamily, toy_recipe
from toys.linear import ToyObjective
from voxmill.errors import VoxmillError
from voxmill.stages.runner import StageOrder, run_stage
from voxmill.stages.train import TrainStage
from voxmill.training.config import TrainConfig

CONFIG = TrainConfig(
    epochs=4,
    accumulation=2,
    learning_rate=0.05,
    warmup_steps=6,
    evaluate_every_steps=4,
    checkpoint_every_steps=3,
    keep_checkpoints=2,
    watch="loss",
    threads=1,
)
DELAY_SECONDS = 0.02
"""Of each batch, so that signals find the process where they are aimed."""


class TalkativeObjective(ToyObjective):
    """Says when it learns and when it measures."""

    def __init__(self, listener: Connection):
        super().__init__(evaluation_delay_seconds=DELAY_SECONDS)
        self._listener = listener

    def loss(self, model, batch):
        self._listener.send("learning")
        return super().loss(model, batch)

    def validate(self, model, batches):
        self._listener.send("evaluating")
        return super().validate(model, batches)


def run(folder: Path, attempt: int, listener: Connection) -> None:
    """One attempt; ends the process with its exit code."""
    order = StageOrder(
        stage="train",
        recipe=toy_recipe(CONFIG),
        inputs={"prepare": folder / "prepare"},
        out=folder / f"out.{attempt}",
        work=folder / "work",
        attempt=attempt,
    )
    family = ToyFamily(objective=TalkativeObjective(listener), delay_seconds=DELAY_SECONDS)
    try:
        run_stage(order, load=lambda name: TrainStage(lambda name: family))
    except VoxmillError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
