"""The port of a worker: whoever carries out what Airflow decides, and talks to DVC and git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from voxmill.orchestration.figures import ArtefactFigures


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
class FailedCheck:
    """A check of a stage's gate that did not pass."""

    name: str
    """With its stage: `evaluate.wer[test]`."""
    value: float | str
    limit: str
    advice: str = ""
    """What to do about it."""
    waived: bool = False
    """True where memory has somebody's word that it does not stand in this run's way."""

    def line(self) -> str:
        """Name, value, limit and what to do, in one line."""
        end = " Waived." if self.waived else f" {self.advice}" if self.advice else ""
        return f"{self.name}: {self.value}, limit: {self.limit}.{end}"


@dataclass(frozen=True, kw_only=True)
class StageSummary:
    """How a stage ended, small enough for an XCom."""

    stage: str
    verdict: str
    """`passed`, `failed` or `not_applicable`; `failed` makes the next stage refuse to start."""
    seconds: float
    executed: bool
    """False where the result was there already and nothing ran."""
    failed_checks: tuple[FailedCheck, ...] = ()
    run: str = ""
    """Id of the run."""

    @property
    def open_checks(self) -> tuple[FailedCheck, ...]:
        """The failed checks that nobody has waived."""
        return tuple(check for check in self.failed_checks if not check.waived)


@dataclass(frozen=True, kw_only=True)
class ReleasePreview:
    """What a release would be, for a person to approve."""

    run: str
    """Id of the run."""
    version: str
    """The version that it would become, such as `v0.1.3`; the present one where `unchanged`."""
    unchanged: bool
    """True where nothing would be tagged: this run, or its outputs, are released already."""
    champion: str = ""
    """The present champion's version; empty where there is none."""
    figures: tuple[ArtefactFigures, ...] = ()
    champion_figures: tuple[ArtefactFigures, ...] = ()
    overrides: Mapping[str, JsonValue] = field(default_factory=dict)
    base_commit: str = ""
    """Commit of the checkout that the run was opened from."""
    dirty: tuple[str, ...] = ()
    """Uncommitted files that went into the run."""
    waived: tuple[str, ...] = ()
    """Failed checks that somebody waived, each with who and why."""
    branch: str = ""


@dataclass(frozen=True, kw_only=True)
class ReleaseSummary:
    """Which release a run became."""

    tag: str
    fresh: bool
    """False where the champion has the same outputs already, so that no tag was added."""
    figures: Mapping[str, JsonValue] = field(default_factory=dict)
    approved_by: str = ""
    """Who approved it, now or when it was tagged; empty where nobody was asked."""


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

    def waive(self, order: RunOrder, checks: Sequence[str], why: str, who: str) -> None:
        """Waives failed checks of the run in memory; those that are waived already stay so.

        Args:
            order: Which run.
            checks: Names with their stage.
            why: The reason, in a person's words.
            who: Whose word it is.

        Raises:
            UsageError: The reason is empty, or a check is unknown or passed.
        """

    def preview(self, order: RunOrder) -> ReleasePreview:
        """What `release` would do now; changes nothing.

        Raises:
            OriginUnreachable: The git origin does not answer.
        """

    def release(self, order: RunOrder, *, approved_by: str = "") -> ReleaseSummary:
        """Releases the finished run, unless the champion already has the same outputs.

        Args:
            order: Which run.
            approved_by: Who approved it, for the record; empty where nobody was asked.

        Raises:
            GateRefused: A check of the last stage failed and nobody waived it.
        """
