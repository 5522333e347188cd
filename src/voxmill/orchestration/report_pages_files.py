"""What of a run lies on this machine, as the pages show it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.pipeline.report import REPORT_FILE, read_report
from voxmill.runs.run import RUN_FILE, Run
from voxmill.runs.state import DONE, StageRecord, read_state

INDEX_FILE = "index.html"
"""The page that a stage may bring itself; `evaluate` does."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the project and its runs lie on this machine."""

    project: Path
    runs: Path
    """`VOXMILL_HOME/runs`: a folder for each recipe and in it one for each run."""

    def run(self, recipe: str, run_id: str) -> Run:
        """The run of that name, whether it is here or not.

        Raises:
            LookupError: One of them is no name that a recipe or a run can have.
        """
        if not (_NAME.fullmatch(recipe) and _NAME.fullmatch(run_id)):
            raise LookupError(f"{recipe}/{run_id}")
        return Run(recipe, run_id, self.runs / recipe / run_id)


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """One stage in a run's list."""

    name: str
    desc: str
    record: StageRecord
    here: bool
    """Whether its report lies on this machine."""


def is_here(run: Run) -> bool:
    """Whether this machine has the run's clone."""
    return (run.folder / RUN_FILE).is_file()


def stage_entries(run: Run) -> list[StageEntry]:
    """Every stage of the run in the order in which they run, those to come included."""
    state = read_state(run.folder)
    return [
        StageEntry(
            name=name,
            desc=stage.desc,
            record=state.get(name) or StageRecord(outcome="started"),
            here=has_report(run, name),
        )
        for name, stage in run.stages.items()
    ]


def has_report(run: Run, stage: str) -> bool:
    """Whether the stage's report lies on this machine."""
    return (run.output(stage) / REPORT_FILE).is_file()


def is_done(run: Run, stage: str) -> bool:
    """Whether the stage has its result, here or in the DVC remote."""
    record = read_state(run.folder).get(stage)
    return record is not None and record.outcome in DONE


def report_of(run: Run, stage: str) -> dict[str, Any]:
    """All that a stage's report says; the office knows but a part of it.

    Raises:
        DataError: It is no report.
    """
    read_report(run.output(stage))
    found: dict[str, Any] = json.loads((run.output(stage) / REPORT_FILE).read_bytes())
    return found


def file_of(run: Run, stage: str, path: str) -> Path | None:
    """A file of a stage's output; None where there is none, or where the path leads elsewhere.

    Args:
        run: The run.
        stage: Name of a stage.
        path: As a browser asks for it; nothing is taken on trust.
    """
    folder = run.output(stage).resolve()
    try:
        found = (folder / path).resolve(strict=True)
    except (OSError, ValueError):  # not there; a null byte, a loop of links
        return None
    return found if found.is_file() and found.is_relative_to(folder) else None
