"""What must be reached by the end of which epoch, and what was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voxmill.training.config import Milestone
from voxmill.training.stops import Evaluation, Stop


@dataclass(frozen=True, kw_only=True)
class MilestoneOutcome:
    """A milestone at the end of a training."""

    milestone: Milestone
    values: Mapping[str, float]
    """What was found, by metric; NaN where it was never measured."""
    ended_before: bool
    """Whether the training was over before it: then the lowest values so far stand here."""

    @property
    def reached(self) -> bool:
        """Whether every limit was kept; a value that is not a number keeps none."""
        return all(self.values[name] < limit for name, limit in self.milestone.limits.items())


@dataclass(kw_only=True)
class MilestonesState:
    """What a checkpoint holds of it."""

    found: dict[int, dict[str, float]] = field(default_factory=dict)
    """Figures at the evaluation that ended an epoch with a milestone, by number of epochs."""
    lowest: dict[str, float] = field(default_factory=dict)
    """Lowest value of each metric so far."""


class Milestones:
    """Judges the evaluations that end an epoch with a milestone."""

    def __init__(self, milestones: Sequence[Milestone]) -> None:
        self.state = MilestonesState()
        self._by_epochs = {milestone.after_epochs: milestone for milestone in milestones}

    def see(self, evaluation: Evaluation, *, epochs: int | None) -> Stop | None:
        """Takes in an evaluation; a reason to end where a milestone that stops was missed.

        Args:
            evaluation: On the validation set.
            epochs: How many have just ended; None within an epoch.
        """
        for name in ("wer", "cer", "loss"):
            value = evaluation.figures.get(name, math.nan)
            if math.isfinite(value):
                self.state.lowest[name] = min(value, self.state.lowest.get(name, math.inf))
        milestone = None if epochs is None else self._by_epochs.get(epochs)
        if epochs is None or milestone is None:
            return None
        found = {name: evaluation.figures.get(name, math.nan) for name in milestone.limits}
        self.state.found[epochs] = found
        outcome = MilestoneOutcome(milestone=milestone, values=found, ended_before=False)
        return _stop(outcome) if milestone.stop and not outcome.reached else None

    def outcomes(self, *, planned_epochs: int) -> tuple[MilestoneOutcome, ...]:
        """All that the plan held, in the order of their epochs.

        One that was not come to (`patience`, `max_steps`) is judged by the lowest values so far.

        Args:
            planned_epochs: `train.epochs`; milestones beyond were never asked for.
        """
        return tuple(
            self._outcome(self._by_epochs[epochs])
            for epochs in sorted(self._by_epochs)
            if epochs <= planned_epochs
        )

    def _outcome(self, milestone: Milestone) -> MilestoneOutcome:
        found = self.state.found.get(milestone.after_epochs)
        lowest = {name: self.state.lowest.get(name, math.nan) for name in milestone.limits}
        return MilestoneOutcome(
            milestone=milestone,
            values=lowest if found is None else found,
            ended_before=found is None,
        )


def values_text(outcome: MilestoneOutcome) -> str:
    """`wer 0.3120, cer 0.1100`."""
    return ", ".join(f"{name} {value:.4f}" for name, value in outcome.values.items())


def limits_text(milestone: Milestone) -> str:
    """`wer below 0.25, cer below 0.1`."""
    return ", ".join(f"{name} below {limit:g}" for name, limit in milestone.limits.items())


def _stop(outcome: MilestoneOutcome) -> Stop:
    milestone = outcome.milestone
    index = f"train.milestones with after_epochs {milestone.after_epochs}"
    return Stop(
        reason="milestone",
        evidence=(
            f"at the end of epoch {milestone.after_epochs}: {values_text(outcome)}; expected: "
            f"{limits_text(milestone)}."
        ),
        causes=(
            "a learning rate, an amount of data or a network other than those that the milestone "
            "was set for, or a milestone that is too strict."
        ),
        remedy=(
            "compare the learning curves with those of a run that reached it; change "
            f"train.learning_rate, the data or the network, or the limit in {index}."
        ),
        switch=f"stop: false in {index}, and a missed milestone is a failed check of the report",
    )
