"""Reads one run again and again; what has not changed is not read twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from voxmill.exporting.activity import is_attended, job_goes_on
from voxmill.exporting.journal_tail import JournalTail
from voxmill.exporting.reported import (
    FullReport,
    dataset,
    parse_backup,
    parse_report,
    parse_waivers,
    verdicts,
)
from voxmill.exporting.run_view import (
    ENDED,
    JournalView,
    RunView,
    StageView,
    refuse_behind,
    run_state,
    seconds_since_1970,
    stage_state,
)
from voxmill.exporting.watched_file import Faults, WatchedFile
from voxmill.launchers.jobs import JobFiles, JobRecord
from voxmill.launchers.stage_launch import stage_resources
from voxmill.observability.labels import STAGES
from voxmill.pipeline.gates import WAIVERS_FILE
from voxmill.pipeline.report import REPORT_FILE
from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot
from voxmill.runs.run import RUN_FILE, Run
from voxmill.runs.state import DONE, STATE_FILE, StageRecord, parse_state

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is looked up once for all runs."""

    locked: frozenset[int] = frozenset()
    """As `locked_inodes` gave."""
    released: frozenset[str] = frozenset()
    """Commits that have a version."""


class RunReader:
    """One run's files, and what they say together.

    Args:
        run: The run; its folder may be deleted at any moment.
        faults: Where files that cannot be read are counted.
        clock: Seconds since 1970.
    """

    def __init__(
        self, run: Run, faults: Faults | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.run = run
        self._clock = clock
        self._faults = faults or Faults()
        self._work = run.folder / "work" / run.recipe
        self._tail = JournalTail(self._work / "journal")
        self._opened = self._watch(run.folder / RUN_FILE, parse_opened)
        self._state = self._watch(run.folder / STATE_FILE, parse_state)
        self._waivers = self._watch(run.memory / WAIVERS_FILE, parse_waivers)
        self._gpus = self._watch(run.recipe_file, self._parse_gpus)
        self._backup = self._watch(self._work / "backup" / "state.json", parse_backup)
        self._jobs = {stage: self._watch(self.files(stage).job, _parse_job) for stage in STAGES}
        self._reports = {
            stage: WatchedFile(
                run.output(stage) / REPORT_FILE, parse_report, "report", self._faults
            )
            for stage in STAGES
        }

    def files(self, stage: str) -> JobFiles:
        """The job files of a stage."""
        return JobFiles(self._work, stage)

    def view(self, around: Surroundings) -> RunView | None:
        """The run as it stands now, without its journal; None where its folder has gone."""
        opened = self._opened.value()
        if opened is None:
            return None
        records = self._state.value() or {}
        reports = {stage: watched.value() for stage, watched in self._reports.items()}
        attended = is_attended(self.run, around.locked)
        stages = self._stages(records, reports, attended=attended)
        released = bool(around.released) and head_commit(self.run.folder) in around.released
        state = run_state(stages, attended=attended, released=released)
        return RunView(
            recipe=self.run.recipe,
            id=self.run.id,
            folder=self.run.folder,
            state=state,
            opened=opened,
            ended=last_time(records, opened) if state in ENDED else None,
            last_change=last_time(records, opened),
            stages=stages,
            dataset=dataset(reports["prepare"], reports["audit"]),
            backup=self._backup.value(),
        )

    def journal(self) -> JournalView:
        """What the run's journal says last; reads on from where it ended."""
        try:
            self._tail.read_on()
        except OSError as error:
            self._faults.note("journal", self._tail.folder, error)
        return JournalView(
            newest=self._tail.newest,
            last_line_time=self._tail.last_line_time,
            broken_lines=self._tail.broken_lines,
            restarts=self._tail.restarts,
            lost_steps=self._tail.lost_steps,
        )

    def _stages(
        self,
        records: Mapping[str, StageRecord],
        reports: Mapping[str, FullReport | None],
        *,
        attended: bool,
    ) -> tuple[StageView, ...]:
        gpus = self._gpus.value() or {}
        waived = {w.check for w in self._waivers.value() or () if w.run == self.run.id}
        stages = []
        for stage in STAGES:
            record, report = records.get(stage), reports[stage]
            job = self._jobs[stage].value()
            live = job_goes_on(self.files(stage), record, job, now=self._clock())
            # Between a job's end and the commit of its result, its worker is at the stage.
            live = live or (attended and record is not None and record.outcome == "started")
            begun = _begun(record, job)
            stages.append(
                StageView(
                    name=stage,
                    state=stage_state(record, live=live),
                    started=begun,
                    seconds=self._seconds(record, begun, live=live),
                    attempts=record.attempt if record else 0,
                    restored=record is not None and record.outcome in DONE - {"executed"},
                    gpus=gpus.get(stage, 0),
                    peak_memory_bytes=report.peak_memory_bytes if report else None,
                    checks=verdicts(report, waived) if report else {},
                )
            )
        return refuse_behind(stages)

    def _seconds(
        self, record: StageRecord | None, begun: float | None, *, live: bool
    ) -> float | None:
        if live:
            return None if begun is None else max(0.0, self._clock() - begun)
        if record is None or begun is None:
            return None
        if record.seconds or record.outcome in DONE:
            return record.seconds
        ended = seconds_since_1970(record.time)
        return None if ended is None else max(0.0, ended - begun)

    def _parse_gpus(self, content: bytes) -> dict[str, int]:
        sections = yaml.safe_load(content)
        known = Snapshot.read(self.run.folder / SNAPSHOT_FILE).recipes[self.run.recipe].stages
        wanted = {name: stage_resources(node, sections) for name, node in known.items()}
        return {name: int(str(found.get("gpus") or 0)) for name, found in wanted.items()}

    def _watch(self, path: Path, parse: Callable[[bytes], T]) -> WatchedFile[T]:
        return WatchedFile(path, parse, "run", self._faults)


def head_commit(folder: Path) -> str | None:
    """The commit that a clone's branch is at, without starting git; None where there is none."""
    try:
        head = (folder / ".git" / "HEAD").read_text("ascii").strip()
        if not head.startswith("ref: "):
            return head
        return (folder / ".git" / head.removeprefix("ref: ")).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def parse_opened(content: bytes) -> float:
    """When a run was opened, in seconds since 1970, from the content of its run.json.

    Raises:
        ValueError: It has no date.
    """
    created = seconds_since_1970(str(json.loads(content)["created"]))
    if created is None:
        raise ValueError("no date in `created`")
    return created


def _parse_job(content: bytes) -> JobRecord:
    return JobRecord.model_validate_json(content)


def _begun(record: StageRecord | None, job: JobRecord | None) -> float | None:
    """When the newest try began: its job says; else the record's end less what it took."""
    if job is not None and (record is None or job.attempt == record.attempt):
        return job.started
    written = seconds_since_1970(record.time) if record else None
    return None if written is None or record is None else written - record.seconds


def last_time(records: Mapping[str, StageRecord], opened: float) -> float:
    """When one of a run's records was last written, or else when it was opened."""
    times = (seconds_since_1970(record.time) for record in records.values())
    return max((time for time in times if time is not None), default=opened)
