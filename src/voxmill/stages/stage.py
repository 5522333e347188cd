"""The stage contract: input folders and typed config in, one output folder and checks out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pydantic import JsonValue

from voxmill.observability.recorder import SILENT, Recorder
from voxmill.recipe.recipe import Recipe

Verdict = Literal["passed", "failed", "not_applicable"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One named measurement of a gate against its limit."""

    name: str
    """As a waiver names it, with its stage: `evaluate.wer[test]`."""
    value: float | str
    limit: str
    """In words with the unit: `at most 0.05`."""
    passed: bool
    help: str = ""
    """What to do when it failed."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """This process's share of a stage that runs in several: number `index` (from 0) of `count`."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """All that a stage may use; it reads no environment and no clock but this one."""

    recipe: Recipe
    inputs: Mapping[str, Path]
    """Input folders by name: earlier stages by stage name, `memory`, `source`."""
    out: Path
    """Empty folder that becomes the stage's output."""
    work: Path
    """Folder that survives tries: checkpoints, journal, caches of this recipe and run."""
    recorder: Recorder = SILENT
    shard: Shard = field(default_factory=Shard)
    stop_requested: Callable[[], bool] = lambda: False
    """Becomes true after SIGTERM; a long stage saves and raises `CheckpointedAndLeft`."""
    clock: Callable[[], float] = lambda: 0.0
    """Seconds, monotonic."""

    def input(self, name: str) -> Path:
        """The input folder of that name.

        Raises:
            UsageError: The stage command was started without `--in NAME=DIR`.
        """
        from voxmill.errors import UsageError

        if name not in self.inputs:
            found = ", ".join(sorted(self.inputs)) or "none"
            raise UsageError(
                f"Input {name!r} is missing; inputs given: {found}. Add --in {name}=DIR."
            )
        return self.inputs[name]


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What a stage found: its gate and its figures; the files are in `out`."""

    checks: tuple[Check, ...] = ()
    figures: Mapping[str, JsonValue] = field(default_factory=dict)
    """Whatever is worth reading in the report: counts, durations, rates."""
    applicable: bool = True

    @property
    def verdict(self) -> Verdict:
        """`failed` as soon as one check failed."""
        if not self.applicable:
            return "not_applicable"
        return "passed" if all(check.passed for check in self.checks) else "failed"


class Stage(Protocol):
    """A stage of the pipeline.

    Attributes:
        name: As dvc.yaml names it.
        version: Raised whenever the same inputs would give another output; part of the stage's
            parameters in DVC, so that old results are not taken for new ones.
    """

    name: str
    version: int

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`."""
