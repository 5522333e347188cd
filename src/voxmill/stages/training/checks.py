"""The gate of train: were the updates sound, did it learn, was each milestone reached?"""

from __future__ import annotations

import math

from voxmill.stages.stage import Check
from voxmill.training.milestones import MilestoneOutcome, limits_text, values_text
from voxmill.training.stops import ERROR_RATES
from voxmill.training.training import TrainingResult

MAX_SKIPPED_SHARE = 0.05
"""fp16 skips a few updates while it finds its scale; more of them is a sick training."""


def training_checks(result: TrainingResult, watch: str) -> tuple[Check, ...]:
    """The named checks of a training that came to its end.

    Args:
        result: How it ended.
        watch: The validation metric that picked the best checkpoint.
    """
    return (
        _finite(result),
        _learned(result, watch),
        *(_milestone(outcome, result) for outcome in result.milestones),
    )


def _finite(result: TrainingResult) -> Check:
    share = result.skipped_updates / max(1, result.steps)
    return Check(
        name="train.finite",
        value=round(share, 6),
        limit=f"at most {MAX_SKIPPED_SHARE:g} of the updates left out as not finite",
        passed=share <= MAX_SKIPPED_SHARE,
        help="Lower train.learning_rate, lengthen train.warmup_steps, or use precision bf16 or no.",
    )


def _learned(result: TrainingResult, watch: str) -> Check:
    """The best value against that before the first step.

    An error rate must also be below 1, which a model that writes nothing at all reaches: an
    untrained one that babbles is often above it.
    """
    first = result.first_value
    limit = min(
        first if first is not None and math.isfinite(first) else math.inf,
        1.0 if watch in ERROR_RATES else float("inf"),
    )
    best = result.best_value
    return Check(
        name="train.learned",
        value="none" if best is None else best,
        limit=f"{watch} below {limit:.4g}, what it is without training",
        passed=best is not None and best < limit,
        help="Look at the learning curves: train longer (train.epochs), try another "
        "train.learning_rate, and check that audio and transcripts belong together.",
    )


def _milestone(outcome: MilestoneOutcome, result: TrainingResult) -> Check:
    """What was to be reached by the end of an epoch; `train.milestone[3]`."""
    milestone = outcome.milestone
    over = f" (lowest; training ended after epoch {result.epochs:.2f}, {result.ending})"
    return Check(
        name=f"train.milestone[{milestone.after_epochs}]",
        value=values_text(outcome) + (over if outcome.ended_before else ""),
        limit=f"{limits_text(milestone)} after epoch {milestone.after_epochs}",
        passed=outcome.reached,
        help="Compare the learning curves with those of a run that reached it: learning rate, "
        "data, network. Waive it if the end is good, or change the limit in train.milestones.",
    )
