"""Which limits hold for which test set: its own where the recipe names it, else those for all."""

from __future__ import annotations

from collections.abc import Collection

from voxmill.errors import UsageError
from voxmill.recipe.sections import ErrorLimits, EvaluateConfig, EvaluateGates, EvaluateGoals


def error_limits(config: EvaluateGates | EvaluateGoals, test_set: str) -> ErrorLimits:
    """The error rates that a test set is held against; None where nothing is asked."""
    own = config.test_sets.get(test_set, ErrorLimits())
    return ErrorLimits(
        wer=config.wer if own.wer is None else own.wer,
        cer=config.cer if own.cer is None else own.cer,
    )


def refuse_unknown_sets(config: EvaluateConfig, test_sets: Collection[str]) -> None:
    """Makes sure that limits are set for test sets that there are: others would hold for none.

    Args:
        config: The `evaluate` section.
        test_sets: Names of those that prepare made.

    Raises:
        UsageError: One or more are not there.
    """
    there = ", ".join(sorted(test_sets))
    for field, limits in (("gates", config.gates), ("goals", config.goals)):
        unknown = sorted(set(limits.test_sets) - set(test_sets))
        if unknown:
            raise UsageError(
                f"evaluate.{field}.test_sets names {', '.join(unknown)}, but the test sets are: "
                f"{there}. Correct the name in the recipe, or assign speakers or subsets to that "
                f"set in prepare.split.assign."
            )
