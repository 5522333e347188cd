"""Ends a training that cannot succeed, and says why.

It sees each step's loss and each evaluation, and asks its rules: collapse, regression, stuck,
explosion, milestones. What they have counted stands in the checkpoint, so that a resumed training
neither forgets nor counts twice; a training that was ended stays ended until its settings change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from voxmill.training.collapse import Collapse, CollapseState
from voxmill.training.config import TrainConfig
from voxmill.training.explosion import Explosion, ExplosionState
from voxmill.training.milestones import MilestoneOutcome, Milestones, MilestonesState
from voxmill.training.regression import Regression, RegressionState
from voxmill.training.stops import Evaluation, Phases, Stop
from voxmill.training.stuck import Stuck, StuckState


class Watchdog:
    """All rules over one training.

    Attributes:
        stop: Why it is to end now; None while it may go on.
        told: The message of the stop that an earlier attempt ended with, under these settings.
    """

    def __init__(self, config: TrainConfig, planned_steps: int) -> None:
        phases = Phases.of(config, planned_steps)
        rules = config.watchdog
        self.stop: Stop | None = None
        self.told: str | None = None
        self._config = config
        self._collapse = Collapse(rules.collapse, phases)
        self._regression = Regression(rules.regression, phases)
        self._stuck = Stuck(rules.stuck, phases)
        self._explosion = Explosion(rules.explosion)
        self._milestones = Milestones(config.milestones)

    def step(self, step: int, loss: float) -> None:
        """Takes in the loss of a training step."""
        self.stop = self.stop or self._explosion.see(step, loss)

    def evaluated(self, evaluation: Evaluation, *, epochs: int | None, over: bool) -> None:
        """Takes in an evaluation; the one before the first step is not judged.

        Args:
            evaluation: What was measured.
            epochs: How many have just ended; None within an epoch.
            over: Whether the training is done with it anyway. Then only a milestone fails it:
                there is nothing left to save, and the best checkpoint is handed on.
        """
        if evaluation.step == 0:
            return
        found = (
            self._collapse.see(evaluation),
            self._regression.see(evaluation),
            self._stuck.see(evaluation),
        )
        missed = self._milestones.see(evaluation, epochs=epochs)
        early = None if over else next((stop for stop in found if stop is not None), None)
        self.stop = self.stop or early or missed

    def milestones(self) -> tuple[MilestoneOutcome, ...]:
        """What became of the milestones."""
        return self._milestones.outcomes(planned_epochs=self._config.epochs)

    def counts(self) -> dict[str, float]:
        """What alerts look at, by catalogued name: the trainer's own judgement."""
        return {
            "voxmill_train_collapsed_evaluations": float(self._collapse.state.certain),
            "voxmill_train_regressed_evaluations": float(self._regression.count),
            "voxmill_train_watched_floor_value": self._config.watchdog.regression.floor,
        }

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "collapse": asdict(self._collapse.state),
            "regression": asdict(self._regression.state),
            "stuck": asdict(self._stuck.state),
            "explosion": asdict(self._explosion.state),
            "milestones": asdict(self._milestones.state),
            "told": self.told,
            "settings": self._settings(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave; a stop only if the settings that asked for it are these."""
        self._collapse.state = CollapseState(**state["collapse"])
        self._regression.state = RegressionState(**state["regression"])
        self._stuck.state = StuckState(**state["stuck"])
        self._explosion.state = ExplosionState(**state["explosion"])
        self._milestones.state = MilestonesState(**state["milestones"])
        self.told = state["told"] if state["settings"] == self._settings() else None

    def _settings(self) -> dict[str, Any]:
        milestones = [one.model_dump(mode="json") for one in self._config.milestones]
        return {"watchdog": self._config.watchdog.model_dump(mode="json"), "milestones": milestones}
