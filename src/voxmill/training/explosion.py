"""Has the training loss exploded: does it stay far above what it had come down to?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voxmill.training.config import ExplosionConfig
from voxmill.training.stops import Stop, steps_text

_MEAN_OVER = 50
"""Steps that the running mean remembers."""
_MARGIN = 1.0
"""Above the multiple, so that a loss near 0 may triple."""


@dataclass(kw_only=True)
class ExplosionState:
    """What a checkpoint holds of it."""

    mean: float | None = None
    """Running mean of the finite losses."""
    lowest: float | None = None
    """Lowest running mean so far."""
    count: int = 0
    """Steps in a row above the limit."""


class Explosion:
    """Counts steps in a row whose loss is above the limit."""

    def __init__(self, config: ExplosionConfig) -> None:
        self.state = ExplosionState()
        self._config = config

    def see(self, step: int, loss: float) -> Stop | None:
        """Takes in the loss of a step; a reason to end once there were enough.

        The steps that count leave the mean as it is: what exploded is no measure of itself.
        """
        state = self.state
        limit = math.inf if state.lowest is None else self._limit(state.lowest)
        if not math.isfinite(loss) or loss > limit:
            state.count += 1
        else:
            state.count = 0
            before = loss if state.mean is None else state.mean
            state.mean = before + (loss - before) / _MEAN_OVER
            state.lowest = state.mean if state.lowest is None else min(state.lowest, state.mean)
        enough = self._config.steps
        return None if enough is None or state.count < enough else self._stop(step, loss, limit)

    def _limit(self, lowest: float) -> float:
        return self._config.factor * max(lowest, 0.0) + _MARGIN

    def _stop(self, step: int, loss: float, limit: float) -> Stop:
        state = self.state
        lowest = "none was finite" if state.lowest is None else f"{state.lowest:.4f}"
        return Stop(
            reason="explosion",
            evidence=(
                f"at {state.count} steps in a row "
                f"({steps_text(step - state.count + 1, step)}) the training loss was above "
                f"{limit:.4g} ({self._config.factor:g} times the lowest mean so far, {lowest}, and "
                f"{_MARGIN:g}); it is {loss:.4g} now."
            ),
            causes=(
                "a learning rate that is too high or a warm-up that is too short, gradients that "
                "are not clipped enough, fp16 where bf16 is needed, a stretch of broken data."
            ),
            remedy=(
                "lower train.learning_rate (a third is a good first try), lengthen "
                "train.warmup_steps, lower train.clip_norm, take precision bf16 instead of fp16; "
                "if it comes at the same place again, look at the data of those batches (audit)."
            ),
            switch="train.watchdog.explosion.steps: null",
        )
