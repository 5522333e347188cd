"""The worker that carries tasks out from this machine's checkout; brings DVC and git in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxmill.launchers.catalogue import launcher_name, load_launcher
from voxmill.launchers.launcher import Launcher
from voxmill.observability.log_context import bind_log_context
from voxmill.orchestration.figures import ArtefactFigures, parse_figures
from voxmill.orchestration.source_news import source_news
from voxmill.orchestration.worker import (
    FailedCheck,
    ReleasePreview,
    ReleaseSummary,
    RunOrder,
    SourceNews,
    StageSummary,
)
from voxmill.pipeline.gates import full_name, read_waivers
from voxmill.pipeline.recipe_file import read_recipe_file
from voxmill.pipeline.report import read_report
from voxmill.runs import execution
from voxmill.runs.lister import Lister, list_source
from voxmill.runs.opening import RunOptions, open_run
from voxmill.runs.preview import preview
from voxmill.runs.project import Project
from voxmill.runs.release import release
from voxmill.runs.returns import bounded_returns
from voxmill.runs.run import Run, RunRecord
from voxmill.runs.state import StageRecord, read_state
from voxmill.runs.waiver import waive_all
from voxmill.runs.worker_lock import worker_lock


class LocalWorker:
    """Opens runs in this machine's `VOXMILL_HOME` and launches stages from there.

    It remembers project and runs for as long as it lives: one task of a scheduled DAG run, or all
    tasks of a DAG run in this process.

    Args:
        project_root: The checkout that runs are cloned from.
        launcher: Where stages run; by default as the recipe, then `VOXMILL_LAUNCHER`, say.
        lister: Validates the recipe and lists its source.
    """

    def __init__(
        self,
        project_root: Path,
        *,
        launcher: Launcher | None = None,
        lister: Lister = list_source,
    ) -> None:
        self._root = project_root
        self._launcher = launcher
        self._lister = lister
        self._project: Project | None = None
        self._runs: dict[tuple[str, str], Run] = {}
        self._at_work: tuple[Run, str, Launcher] | None = None

    def open(self, order: RunOrder) -> str:
        """Opens the run; see the port."""
        return self._run(order).id

    def run_stage(self, order: RunOrder, stage: str) -> StageSummary:
        """Brings the stage up to date; see the port."""
        run = self._run(order)
        launcher = self._launcher or _launcher_of(run)
        self._at_work = (run, stage, launcher)
        with worker_lock(run, wait=True), bounded_returns(run, stage):
            state = execution.run_stage(run, stage, launcher)
        record = read_state(run.folder)[stage]
        return StageSummary(
            stage=stage,
            verdict=record.verdict,
            seconds=record.seconds,
            executed=state == "executed",
            failed_checks=_failed_checks(run, stage, record),
            run=run.id,
        )

    def sync(self, recipe: str) -> SourceNews:
        """Lists the recipe's source into memory; see the port."""
        return source_news(self._found_project(), recipe, self._lister)

    def stop_stage(self) -> None:
        """Asks the running stage to save and leave; see the port."""
        if self._at_work is not None:
            execution.stop_stage(*self._at_work)

    def waive(self, order: RunOrder, checks: Sequence[str], why: str, who: str) -> None:
        """Waives failed checks; see the port."""
        run = self._run(order)
        with worker_lock(run, wait=True):
            waive_all(run, checks, why, who=who)

    def preview(self, order: RunOrder) -> ReleasePreview:
        """Says what a release would be; see the port."""
        run = self._run(order)
        record = RunRecord.read(run.folder)
        found = preview(self._found_project(), run)
        return ReleasePreview(
            run=run.id,
            version=found.version,
            unchanged=found.unchanged,
            champion=found.champion,
            figures=parse_figures(found.figures),
            champion_figures=_known_figures(found.champion_figures),
            overrides=order.overrides,
            base_commit=record.base_commit,
            dirty=tuple(record.dirty),
            waived=tuple(f"{one.check} by {one.who}: {one.why}" for one in found.waivers),
            branch=run.branch,
        )

    def release(self, order: RunOrder, *, approved_by: str = "") -> ReleaseSummary:
        """Releases the run; see the port."""
        run = self._run(order)
        with worker_lock(run, wait=True):
            found = release(self._found_project(), run, approved_by=approved_by)
        return ReleaseSummary(
            tag=found.tag, fresh=found.fresh, figures=found.figures, approved_by=found.approved_by
        )

    def _found_project(self) -> Project:
        if self._project is None:
            self._project = Project.find(self._root, os.environ)
        return self._project

    def _run(self, order: RunOrder) -> Run:
        """The run, from this machine, from the origin or new: any machine may take any task."""
        key = (order.recipe, order.airflow_run_id)
        if key not in self._runs:
            options = RunOptions(
                overrides=order.overrides,
                airflow_run_id=order.airflow_run_id,
                allow_dirty=order.allow_dirty,
            )
            project = self._found_project()
            self._runs[key] = open_run(project, order.recipe, options, self._lister)
        run = self._runs[key]
        bind_log_context(recipe=run.recipe, run=run.id, log=run.log)
        return run


def _launcher_of(run: Run) -> Launcher:
    resources = read_recipe_file(run.recipe_file).get("resources") or {}
    return load_launcher(launcher_name(None, resources))


def _failed_checks(run: Run, stage: str, record: StageRecord) -> tuple[FailedCheck, ...]:
    if record.verdict != "failed":
        return ()
    waived = {waiver.check for waiver in read_waivers(run.memory) if waiver.run == run.id}
    return tuple(
        FailedCheck(
            name=full_name(stage, check),
            value=check.value,
            limit=check.limit,
            advice=check.help,
            waived=bool({check.name, full_name(stage, check)} & waived),
        )
        for check in read_report(run.output(stage)).failed_checks
    )


def _known_figures(metrics: Mapping[str, Any]) -> tuple[ArtefactFigures, ...]:
    """None where a tag tells other figures than today's: an approval can do without them."""
    try:
        return parse_figures(metrics)
    except (KeyError, TypeError, AttributeError):
        return ()
