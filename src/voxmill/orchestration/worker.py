"""The port of a worker: whoever carries out what Airflow decides, and talks to DVC and git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class RunOrder:
    """Which run is meant, and what a person or the schedule asked of it; the same in each task."""

    recipe: str
    airflow_run_id: str
    """Such as `manual__2026-11-21T03:00:00+00:00`; the run's own id is made from it."""
    overrides: Mapping[str, JsonValue] = field(default_factory=dict)
    """Recipe fields by `section.key`; only those that differ from the recipe."""
    allow_dirty: bool = False
    """Go on although the checkout has uncommitted code; the run records it."""


@dataclass(frozen=True, kw_only=True)
class StageSummary:
    """How a stage ended, small enough for an XCom."""

    stage: str
    verdict: str
    """`passed`, `failed` or `not_applicable`; `failed` makes the next stage refuse to start."""
    seconds: float
    executed: bool
    """False where the result was there already and nothing ran."""
    failed_checks: tuple[str, ...] = ()
    """One line for each failed check: name, value, limit, what to do."""


@dataclass(frozen=True, kw_only=True)
class ReleaseSummary:
    """Which release a run became."""

    tag: str
    fresh: bool
    """False where the champion has the same outputs already, so that no tag was added."""
    figures: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceNews:
    """What a recipe's source holds now, against what its newest run was opened with."""

    content: str
    """Digest of the listing: the same for the same content."""
    added: int
    removed: int
    changed: int
    """How many files, against the listing that memory had."""
    newest_run: str = ""
    """Id of the recipe's newest run; empty where there was none."""
    newest_run_began: datetime | None = None
    is_in_newest_run: bool = False
    """True where that run was opened with this very content."""


class Worker(Protocol):
    """Carries out the tasks of one DAG run; each call is safe to repeat."""

    def open(self, order: RunOrder) -> str:
        """Opens the run, or finds the one that an earlier try opened; gives its id.

        Raises:
            UsageError: An override is unknown or wrong, or the checkout has uncommitted code.
        """

    def run_stage(self, order: RunOrder, stage: str) -> StageSummary:
        """Brings the stage up to date: restores, attaches or runs.

        Raises:
            VoxmillError: As the stage's exit code says.
        """

    def sync(self, recipe: str) -> SourceNews:
        """Lists the recipe's source into memory, and says whether a run has had this content.

        Raises:
            UsageError: The recipe is wrong.
            DataError: The source is missing or empty.
        """

    def stop_stage(self) -> None:
        """Asks the stage that `run_stage` waits for to save and leave; returns at once."""

    def release(self, order: RunOrder) -> ReleaseSummary:
        """Releases the finished run, unless the champion already has the same outputs.

        Raises:
            GateRefused: A check of the last stage failed and nobody waived it.
        """
