"""The tree of errors; every class fixes the exit code that Airflow and scripts see.

VoxmillError
├── UsageError             64  a recipe, an option or the state of git is wrong
│   └── RecipeError            every mistake of one recipe file at once
├── DataError              65  recordings, transcripts, manifests, checkpoints
├── GateRefused            66  an earlier stage's checks failed and nobody waived them
├── EngineMissing          69  launcher, image, GPU, library or disk space is not there
├── TrainingFailed         70  collapse, regression, non-finite loss
├── CheckpointedAndLeft    75  asked to stop, saved, left: start again to go on
└── GpuLost                76  the GPU vanished in mid-run

Wording of a message: what, which one, expected, found, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class VoxmillError(Exception):
    """A failure that a person can act on; anything else is a bug and keeps its traceback."""

    exit_code = 1


class UsageError(VoxmillError):
    """A recipe, an option or the state of the checkout is wrong."""

    exit_code = 64


@dataclass(frozen=True)
class FieldProblem:
    """One mistake in a recipe: where it is, what was found, what is allowed."""

    field: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.field}: found {self.found}; {self.allowed}"


class RecipeError(UsageError):
    """Every mistake of one recipe, reported at once.

    Attributes:
        recipe: Name or path of the recipe.
        problems: One entry for each mistake, in the order of the file.
    """

    def __init__(self, recipe: str, problems: Sequence[FieldProblem]) -> None:
        self.recipe = recipe
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        count = len(self.problems)
        noun = "mistake" if count == 1 else "mistakes"
        super().__init__(f"Recipe {recipe}: {count} {noun}. Correct and start again.{lines}")


class DataError(VoxmillError):
    """Recordings, transcripts, manifests or checkpoints are not what they should be."""

    exit_code = 65


class GateRefused(VoxmillError):
    """An earlier stage's checks failed and no waiver is in memory.

    Attributes:
        stage: The stage whose gate stands in the way.
        checks: Names of the failed checks, as `voxmill waive` takes them.
    """

    exit_code = 66

    def __init__(self, message: str, *, stage: str, checks: Sequence[str]) -> None:
        self.stage = stage
        self.checks = tuple(checks)
        super().__init__(message)


class EngineMissing(VoxmillError):
    """Something that the machine must offer is not there: launcher, GPU, library, disk space."""

    exit_code = 69


class TrainingFailed(VoxmillError):
    """Training cannot succeed from here: collapse, regression or a non-finite loss."""

    exit_code = 70


class CheckpointedAndLeft(VoxmillError):
    """Training was asked to stop, wrote a checkpoint and left; the next try goes on from it."""

    exit_code = 75


class GpuLost(VoxmillError):
    """The GPU vanished in mid-run; the newest checkpoint is the place to go on from."""

    exit_code = 76
