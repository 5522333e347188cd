"""Where a training stands: what a checkpoint holds beside the learner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(kw_only=True)
class Position:
    """Step, place in the epoch, and what the evaluations have said so far."""

    step: int = 0
    """Optimizer steps made."""
    epoch: int = 0
    """Number of the epoch in progress, from 0."""
    position: int = 0
    """Micro-batches of that epoch that are done."""
    evaluated_step: int | None = None
    """Step of the last finished evaluation; an interrupted one is due again."""
    first_value: float | None = None
    """Watched value before the first step."""
    last_value: float | None = None
    best_value: float | None = None
    best_step: int | None = None
    stale_evaluations: int = 0
    """Evaluations since the best one, as far as they count (`Plan.standstill_counts`)."""
    skipped_updates: int = 0
    infinite_losses: int = 0
    seconds: float = 0.0
    """Spent by all attempts, as far as their checkpoints know."""

    def evaluated(self, value: float) -> bool:
        """Takes in the watched value of an evaluation and tells whether it is the best.

        The value before the first step is what the others are compared with, never the best: a
        released model has been trained. NaN is never the best.
        """
        self.evaluated_step = self.step
        self.last_value = value
        if self.step == 0:
            self.first_value = value
            return False
        better = not math.isnan(value) and (self.best_value is None or value < self.best_value)
        if better:
            self.best_value, self.best_step, self.stale_evaluations = value, self.step, 0
        else:
            self.stale_evaluations += 1
        return better

    def forget_best(self) -> None:
        """Makes the next evaluation the best, where the best checkpoint is lost."""
        self.best_value = self.best_step = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Position:
        """Takes back what `to_dict` gave."""
        return cls(**state)
