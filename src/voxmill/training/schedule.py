"""Learning rates as pure functions of the step: nothing to save, nothing to get out of step.

The curves are those of transformers' `get_scheduler` (Loshchilov & Hutter, 2017, eq. 5 for the
cosine, without restarts; Vaswani et al., 2017, eq. 3 for the inverse square root).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voxmill.training.config import TrainConfig
from voxmill.training.learner import BatchSource

_TIMESCALE_WITHOUT_WARMUP = 10_000  # steps; transformers' choice for inverse_sqrt


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate of every update of a training."""

    name: str
    learning_rate: float
    """Peak, at the end of the warm-up."""
    warmup_steps: int
    total_steps: int

    def rate(self, update: int) -> float:
        """The learning rate of update number `update`, from 1.

        Counting from 1 over `total_steps + 1` keeps both ends off zero: transformers' first
        update under warm-up, and a last one at the curve's end, would learn nothing.
        """
        curve = CURVES[self.name]
        return self.learning_rate * curve(update, self.warmup_steps, self.total_steps + 1)


def schedule_for(config: TrainConfig, batches: BatchSource[Any]) -> Schedule:
    """The schedule that the `train` section asks for over these batches."""
    return Schedule(
        name=config.schedule,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        total_steps=total_steps(config, batches),
    )


def total_steps(config: TrainConfig, batches: BatchSource[Any]) -> int:
    """Optimizer steps of the whole training, if nothing stops it early."""
    windows = 0
    for epoch in range(config.epochs):
        if config.max_steps is not None and windows >= config.max_steps:
            return config.max_steps  # "a thousand epochs" is not asked to lay each of them out
        windows += math.ceil(batches.batch_count(epoch) / config.accumulation)
    return windows if config.max_steps is None else min(windows, config.max_steps)


def constant(step: int, warmup: int, total: int) -> float:
    """Full rate after the warm-up."""
    del total
    return _warm(step, warmup)


def linear(step: int, warmup: int, total: int) -> float:
    """Straight down to zero at `total`."""
    if step < warmup:
        return _warm(step, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


def cosine(step: int, warmup: int, total: int) -> float:
    """Half a cosine down to zero at `total`."""
    if step < warmup:
        return _warm(step, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


def inverse_sqrt(step: int, warmup: int, total: int) -> float:
    """Falls with the square root of the step; knows no end."""
    del total
    if step < warmup:
        return _warm(step, warmup)
    timescale = warmup or _TIMESCALE_WITHOUT_WARMUP
    return 1.0 / math.sqrt((step + timescale - warmup) / timescale)


CURVES: dict[str, Callable[[int, int, int], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "inverse_sqrt": inverse_sqrt,
}
"""Factor of the peak rate by (step, warm-up steps, total steps)."""


def _warm(step: int, warmup: int) -> float:
    return step / warmup if step < warmup else 1.0
