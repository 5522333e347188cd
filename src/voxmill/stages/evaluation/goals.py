"""What is hoped for of a release: reached or not, and nothing waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from voxmill.recipe.sections import EvaluateGoals
from voxmill.stages.evaluation.limits import error_limits
from voxmill.stages.evaluation.results import Results


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One figure of the main artefact on one test set beside what is hoped for."""

    test_set: str
    figure: str
    """`wer` or `cer`."""
    value: float
    limit: float

    @property
    def name(self) -> str:
        """As a gate of the same figure would be named: `evaluate.goal.wer[test]`."""
        return f"evaluate.goal.{self.figure}[{self.test_set}]"

    @property
    def reached(self) -> bool:
        """Whether the value is at most the limit."""
        return self.value <= self.limit

    def to_json(self) -> dict[str, JsonValue]:
        """For the report."""
        return {
            "name": self.name,
            "value": self.value,
            "limit": self.limit,
            "reached": self.reached,
        }


def goals_of(config: EvaluateGoals, results: Results) -> tuple[Goal, ...]:
    """Every goal that the recipe sets, by test set."""
    found = []
    for measurement in results.main:
        limits = error_limits(config, measurement.test_set)
        score = measurement.score
        for figure, value, limit in (
            ("wer", score.wer, limits.wer),
            ("cer", score.cer, limits.cer),
        ):
            if limit is not None:
                found.append(
                    Goal(
                        test_set=measurement.test_set,
                        figure=figure,
                        value=round(value, 6),
                        limit=limit,
                    )
                )
    return tuple(found)
