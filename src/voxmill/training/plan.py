"""What is due where in a training: a function of the recipe, the batches and the position alone."""

from __future__ import annotations

import math
from typing import Any

from voxmill.training.config import TrainConfig
from voxmill.training.learner import BatchSource
from voxmill.training.position import Position
from voxmill.training.schedule import total_steps
from voxmill.training.stops import Phases
from voxmill.training.training import Ending


class Plan:
    """Evaluations, checkpoints and the end.

    Attributes:
        steps: Optimizer steps of the whole training, if nothing stops it early.
    """

    def __init__(self, config: TrainConfig, batches: BatchSource[Any]) -> None:
        self.steps = total_steps(config, batches)
        self._config = config
        self._batches = batches
        self._phases = Phases.of(config, self.steps)
        self._measured = {milestone.after_epochs for milestone in config.milestones}

    def batch_count(self, position: Position) -> int:
        """Micro-batches of the epoch in progress."""
        return self._batches.batch_count(position.epoch)

    def epochs_made(self, position: Position) -> float:
        """With a fraction for the one in progress."""
        return position.epoch + position.position / self.batch_count(position)

    def epochs_just_ended(self, position: Position) -> int | None:
        """How many epochs are made, where one ends here; None within one."""
        at_end = position.position == self.batch_count(position)
        return position.epoch + 1 if at_end else None

    def evaluation_due(self, position: Position) -> bool:
        """Before the first step, at the recipe's interval, for a milestone, and at the end."""
        every, ended = self._config.evaluate_every_steps, self.epochs_just_ended(position)
        regular = ended is not None if every is None else position.step % every == 0
        return (
            position.step == 0
            or regular
            or ended in self._measured
            or self.ending(position) is not None
        )

    def checkpoint_due(self, position: Position, *, evaluated: bool) -> bool:
        """At the recipe's interval; without one, after each evaluation."""
        every = self._config.checkpoint_every_steps
        return evaluated if every is None else position.step > 0 and position.step % every == 0

    def checkpoint_steps(self, position: Position) -> int:
        """Steps from one planned checkpoint to the next; those of the best come in between."""
        every = self._config.checkpoint_every_steps or self._config.evaluate_every_steps
        return every or math.ceil(self.batch_count(position) / self._config.accumulation)

    def ending(self, position: Position) -> Ending | None:
        """Why training is over; None while it is not."""
        config = self._config
        if config.max_steps is not None and position.step >= config.max_steps:
            return "max_steps"
        if self.epochs_just_ended(position) == config.epochs:
            return "epochs"
        if config.patience is not None and position.stale_evaluations >= config.patience:
            return "patience"
        return None

    def standstill_counts(self, position: Position) -> bool:
        """Whether an evaluation that is not the best one says anything, for `train.patience`.

        Within the warm-up it does not, and CTC begins with silence, at an error rate of 1: a
        network that has not learned a word yet is the watchdog's, until its grace is over.
        """
        config, best = self._config, position.best_value
        if self._phases.ripe(position.step):
            return True
        silent = config.watch != "loss" and (best is None or best >= config.watchdog.stuck.wer)
        return self._phases.warm(position.step) and not silent
