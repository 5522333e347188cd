"""A run as it stands: what the exporter serves and what `voxmill watch` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from voxmill.exporting.journal_tail import Newest, SeriesKey
from voxmill.runs.state import DONE, StageRecord

RunState = Literal["running", "waiting", "stopped", "failed", "finished", "released"]
StageState = Literal["pending", "running", "done", "not_applicable", "failed", "stopped", "refused"]
ENDED: frozenset[RunState] = frozenset({"stopped", "failed", "finished", "released"})
_GATE_REFUSED = 66


@dataclass(frozen=True, kw_only=True)
class StageView:
    """One stage of a run."""

    name: str
    state: StageState
    started: float | None = None
    """When the newest try began; seconds since 1970."""
    seconds: float | None = None
    """That it took, or so far; None where it has not begun."""
    attempts: int = 0
    restored: bool = False
    """True where another run's result was taken, so that nothing ran."""
    gpus: int = 0
    """Asked for."""
    peak_memory_bytes: int | None = None
    checks: Mapping[str, int] = field(default_factory=dict)
    """Number by verdict: passed, failed, waived."""


@dataclass(frozen=True, kw_only=True)
class JournalView:
    """What the run's journal says last."""

    newest: Mapping[SeriesKey, Newest] = field(default_factory=dict)
    last_line_time: float | None = None
    broken_lines: int = 0
    restarts: int = 0
    lost_steps: int = 0

    def value(self, name: str, **labels: str) -> float | None:
        """The newest value of a series; None where it has none."""
        found = self.newest.get((name, tuple(sorted(labels.items()))))
        return None if found is None else found.value


@dataclass(frozen=True, kw_only=True)
class DatasetView:
    """What prepare and audit say of the data."""

    utterances: Mapping[str, int] = field(default_factory=dict)
    """By split."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By split."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By reason."""


@dataclass(frozen=True, kw_only=True)
class BackupView:
    """What the backup of the run says of itself."""

    verified: float | None = None
    """Seconds since 1970."""
    bytes: float | None = None
    failures: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunView:
    """All of it."""

    recipe: str
    id: str
    folder: Path
    state: RunState
    opened: float
    """Seconds since 1970."""
    ended: float | None
    """None while it goes on."""
    last_change: float
    """When its state was last written."""
    stages: tuple[StageView, ...]
    journal: JournalView = field(default_factory=JournalView)
    dataset: DatasetView = field(default_factory=DatasetView)
    backup: BackupView | None = None

    @property
    def running_stage(self) -> StageView | None:
        """The stage whose job goes on."""
        return next((stage for stage in self.stages if stage.state == "running"), None)


def stage_state(record: StageRecord | None, *, live: bool) -> StageState:
    """What a stage's record says, given whether a job goes on."""
    if record is None:
        return "running" if live else "pending"
    if live:
        return "running"
    if record.outcome in DONE:
        return "not_applicable" if record.verdict == "not_applicable" else "done"
    if record.outcome == "failed":
        return "refused" if record.exit_code == _GATE_REFUSED else "failed"
    return "stopped"


def refuse_behind(stages: Sequence[StageView]) -> tuple[StageView, ...]:
    """The stages, the first one that waits behind a failed gate being `refused`."""
    result: list[StageView] = []
    barred = False
    for stage in stages:
        if barred and stage.state == "pending":
            result += [replace(stage, state="refused"), *stages[len(result) + 1 :]]
            break
        barred = barred or stage.checks.get("failed", 0) > 0
        result.append(stage)
    return tuple(result)


def run_state(stages: Sequence[StageView], *, attended: bool, released: bool) -> RunState:
    """What the stages' states make of the run.

    Args:
        stages: All of them.
        attended: Whether a worker is at the run now.
        released: Whether its commit has a version.
    """
    states = {stage.state for stage in stages}
    if states <= {"done", "not_applicable"}:
        return "released" if released else "finished"
    if "running" in states or attended:
        return "running"
    if states & {"failed", "refused"}:
        return "failed"
    return "stopped" if "stopped" in states else "waiting"


def seconds_since_1970(stamp: str) -> float | None:
    """From ISO 8601 as run.json and stages.json have it; None where it is none."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None
