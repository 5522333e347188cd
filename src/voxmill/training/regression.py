"""Does the watched metric get worse instead of better?

Two ways: it falls (each evaluation is worse than the one before) or it has fallen (it stays far
above the best; of these it takes twice as many, for nothing is lost by waiting). One such
evaluation is noise, of which small validation sets make a lot: spoken digits go from WER 0.08 to
0.15 and on to 0.05 in a healthy run. Values up to the floor are all taken for the floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from voxmill.training.config import RegressionConfig
from voxmill.training.stops import ERROR_RATES, Evaluation, Phases, Stop

NOT_BEGUN = 0.95
"""An error rate from here on has not begun to fall: a network that starts to speak is at first
worse than a silent one."""
_FALLEN = 2
"""Evaluations far above the best count half."""
_TRAIL = 8
"""Values that a message shows."""


@dataclass(kw_only=True)
class RegressionState:
    """What a checkpoint holds of it."""

    previous: float | None = None
    """Watched value of the evaluation before."""
    falling: int = 0
    """Evaluations in a row that were worse than the one before."""
    fallen: int = 0
    """Evaluations in a row that were far above the best."""
    trail: list[float] = field(default_factory=list)
    """The newest watched values, for the message."""


class Regression:
    """Counts evaluations in a row at which the watched metric was worse."""

    def __init__(self, config: RegressionConfig, phases: Phases) -> None:
        self.state = RegressionState()
        self._config = config
        self._phases = phases

    @property
    def count(self) -> int:
        """Evaluations in a row that count: what is recorded and alerted on."""
        return max(self.state.falling, self.state.fallen)

    def see(self, evaluation: Evaluation) -> Stop | None:
        """Takes in an evaluation; a reason to end once there were enough."""
        state, value = self.state, evaluation.watched
        falling = self._worse(evaluation, state.previous, self._config.relative)
        fallen = self._worse(evaluation, evaluation.best_value, self._config.from_best)
        state.falling = state.falling + 1 if falling else 0
        state.fallen = state.fallen + 1 if fallen else 0
        state.previous = value
        state.trail = [*state.trail, value][-_TRAIL:]
        limit = self._config.evaluations
        if limit is None or (state.falling < limit and state.fallen < _FALLEN * limit):
            return None
        return self._stop(evaluation, falling=state.falling >= limit)

    def _worse(self, evaluation: Evaluation, than: float | None, share: float) -> bool:
        value = evaluation.watched
        if not self._phases.warm(evaluation.step) or than is None:
            return False
        if not math.isfinite(value):
            return True
        if evaluation.watch in ERROR_RATES and than >= NOT_BEGUN:
            return False
        return value > (1 + share) * max(than, self._config.floor)

    def _stop(self, evaluation: Evaluation, *, falling: bool) -> Stop:
        state, config = self.state, self._config
        trail = ", ".join(f"{value:.4f}" for value in state.trail)
        count = state.falling if falling else state.fallen
        best = "none" if evaluation.best_value is None else f"{evaluation.best_value:.4f}"
        way = (
            f"more than {config.relative:.0%} worse than at the evaluation before"
            if falling
            else f"more than {config.from_best:.0%} worse than the best ({best})"
        )
        return Stop(
            reason="regression",
            evidence=(
                f"the watched {evaluation.watch} was {way} at {count} evaluations in a row, "
                f"past the warm-up and above the floor of {config.floor:g}; the last ones: {trail};"
                f" best so far: {best}."
            ),
            causes=(
                "a learning rate that is still too high where the network had become good, a "
                "schedule that does not fall, overfitting (the training loss falls meanwhile), a "
                "validation set so small that chance moves it by this much."
            ),
            remedy=(
                "lower train.learning_rate or take train.schedule: cosine; against overfitting "
                "more augmentation (train.augment), more data, or train.patience, which ends the "
                "training without failing it; for a small set raise "
                "train.watchdog.regression.floor."
            ),
            switch="train.watchdog.regression.evaluations: null",
        )
