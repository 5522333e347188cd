"""Has the word error rate never begun to fall?

A month at a word error rate of 93 % looks like training: the loss falls, checkpoints are written.
This rule looks at the only thing that counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voxmill.training.config import StuckConfig
from voxmill.training.stops import Evaluation, Phases, Stop


@dataclass(kw_only=True)
class StuckState:
    """What a checkpoint holds of it."""

    count: int = 0
    """Evaluations past the warm-up, none of which was below the limit."""
    lowest: float | None = None
    """Lowest word error rate so far."""


class Stuck:
    """Counts evaluations until the word error rate was below the limit once."""

    def __init__(self, config: StuckConfig, phases: Phases) -> None:
        self.state = StuckState()
        self._config = config
        self._phases = phases

    def see(self, evaluation: Evaluation) -> Stop | None:
        """Takes in an evaluation; a reason to end once there were enough. Without a WER: never."""
        state, wer = self.state, evaluation.figures.get("wer")
        if wer is None:
            return None
        if math.isfinite(wer):
            state.lowest = wer if state.lowest is None else min(state.lowest, wer)
        if state.lowest is not None and state.lowest < self._config.wer:
            state.count = 0
            return None
        state.count += 1 if self._phases.warm(evaluation.step) else 0
        limit = self._config.evaluations
        ripe = self._phases.ripe(evaluation.step)
        return None if limit is None or state.count < limit or not ripe else self._stop(evaluation)

    def _stop(self, evaluation: Evaluation) -> Stop:
        state, phases = self.state, self._phases
        lowest = "not finite" if state.lowest is None else f"{state.lowest:.3f}"
        blank = evaluation.figures.get("blank_ratio")
        more = "" if blank is None else f" {100 * blank:.1f} % of the frames are blank."
        return Stop(
            reason="stuck",
            evidence=(
                f"after {state.count} evaluations past the warm-up ({phases.warmup_steps} steps, "
                f"and {phases.grace_steps} more) the lowest WER is {lowest}; it should have been "
                f"below {self._config.wer:g}.{more}"
            ),
            causes=(
                "a learning rate that is too high (nothing settles) or too low (nothing moves), "
                "too much dropout, transcripts that do not belong to the audio, too few samples "
                "for a network of this size, an encoder that is frozen where it should learn."
            ),
            remedy=(
                "first find out whether it can learn at all: train.num_samples: 100, no "
                "train.augment, until the training loss is near 0. If it cannot, look at the data "
                "and at features and labels; if it can, change train.learning_rate (from scratch: "
                "1e-4), model.encoder.dropout (0.1) and the amount of data. A slow network that is "
                "on its way needs a higher train.watchdog.stuck.evaluations."
            ),
            switch="train.watchdog.stuck.evaluations: null",
        )
