"""What the watchdog's rules look at, and how one of them says that a training is to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxmill.training.config import TrainConfig

LEAST_GRACE_STEPS, MOST_GRACE_STEPS = 500, 3000
_GRACE_SHARE = 0.2

ERROR_RATES = frozenset({"wer", "cer"})


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One measurement on the validation set, as the rules see it."""

    step: int
    """Optimizer steps made; the one before the first step is not judged."""
    figures: Mapping[str, float]
    """By the learner's names: `loss`, `wer`, `blank_ratio`, …"""
    watch: str
    """The figure that picks the best checkpoint."""
    best_value: float | None
    """Lowest watched value of the evaluations before this one."""

    @property
    def watched(self) -> float:
        """Value of the watched figure."""
        return self.figures[self.watch]


@dataclass(frozen=True, kw_only=True)
class Phases:
    """From which steps on judgements are fair."""

    warmup_steps: int
    grace_steps: int
    """Past the warm-up, for a network that has learned nothing yet."""

    @classmethod
    def of(cls, config: TrainConfig, planned_steps: int) -> Phases:
        """As the recipe has them.

        Args:
            config: The `train` section.
            planned_steps: Of the whole training.
        """
        grace = config.watchdog.grace_steps
        if grace is None:
            share = round(_GRACE_SHARE * planned_steps)
            grace = min(MOST_GRACE_STEPS, max(LEAST_GRACE_STEPS, share))
        return cls(warmup_steps=config.warmup_steps, grace_steps=grace)

    def warm(self, step: int) -> bool:
        """Whether the warm-up is over."""
        return step > self.warmup_steps

    def ripe(self, step: int) -> bool:
        """Whether a network should have begun to learn."""
        return step > self.warmup_steps + self.grace_steps


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why a training is to end, in words for whoever finds it in the morning."""

    reason: str
    """One of `STOP_REASONS`."""
    evidence: str
    """What was found, with the figures and the limits."""
    causes: str
    """What usually makes it."""
    remedy: str
    """What to change, by the names of the recipe."""
    switch: str
    """The setting that makes the trainer look away."""

    def message(self, *, step: int, epochs: float, kept: str) -> str:
        """The whole story.

        Args:
            step: At which the training ends.
            epochs: Made by then.
            kept: What is left, in words.
        """
        return (
            f"Training stopped at step {step} (epoch {epochs:.2f}): {self.reason}.\n"
            f"  Found: {self.evidence}\n"
            f"  Usual causes: {self.causes}\n"
            f"  What to change: {self.remedy}\n"
            f"  Kept: {kept}\n"
            f"  To go on regardless: {self.switch}. More in docs/training-guide.md."
        )


def percent(share: float) -> str:
    """`98.4 %`."""
    return f"{100 * share:.1f} %"


def steps_text(first: int, last: int) -> str:
    """`step 400`, or `steps 200 to 400`."""
    return f"step {last}" if first == last else f"steps {first} to {last}"
