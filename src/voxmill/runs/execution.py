"""Bringing one stage of a run up to date: take what is there, else launch it and keep the result.

The order of writing makes a worker replaceable at any moment:

1. before the launch, `.git/voxmill-pending/<stage>.json` says what is launched, and the stage's
   old output leaves the checkout;
2. the job ends; its output is renamed into place and its memory lines are appended;
3. `dvc commit`, `git commit`, push of data, branch and memory, each harmless to repeat;
4. the pending note goes.

Whoever finds a note continues there: attaches to the job, collects it, or repeats step 3.
Steps 1 to 4 are done under the stage's lease, so that of two hosts one launches and pushes; what
another host has done meanwhile is taken over first.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from voxmill.errors import CheckpointedAndLeft, GpuLost, VoxmillError
from voxmill.launchers import stage_launch
from voxmill.launchers.launcher import Launcher
from voxmill.launchers.outcome import failure
from voxmill.observability.log_context import log_context
from voxmill.pipeline.gates import read_waivers, refuse_behind
from voxmill.pipeline.remembered import remember
from voxmill.pipeline.report import StageReport, check_output, read_report
from voxmill.runs.catching_up import catch_up
from voxmill.runs.disk import disk_full, is_disk_full, is_nearly_full
from voxmill.runs.git import Git, remove_stale_locks
from voxmill.runs.lease import Lease, leased
from voxmill.runs.project import Project
from voxmill.runs.publishing import commit_stage, is_published, publish
from voxmill.runs.run import Run
from voxmill.runs.starting_point import bring_starting_point
from voxmill.runs.state import (
    DONE,
    Pending,
    clear_pending,
    mark,
    next_attempt,
    read_pending,
    read_state,
    write_pending,
)
from voxmill.runs.storage import Storage
from voxmill.runs.worker_lock import worker_lock

logger = logging.getLogger(__name__)

StageState = Literal["executed", "restored", "unchanged"]
_open = threading.local()


def run_stage(run: Run, stage: str, launcher: Launcher, force: bool = False) -> StageState:  # noqa: FBT001, FBT002  # the signature that Airflow's operator and the command line share
    """Brings one stage of a run up to date; safe to repeat after any kind of death.

    Args:
        run: The run, as `open_run` or `find_run` gave it.
        stage: Name of the stage.
        launcher: Where the stage runs if it has to.
        force: Run it even where dvc.lock or the run-cache has its result.

    Returns:
        `executed`: it ran in this run, now or under a worker that died; `restored`: another run
        with the same inputs and settings had made the result; `unchanged`: nothing to do. A
        stage whose checks failed counts as executed: the next one is refused.

    Raises:
        GateRefused: A check of an earlier stage failed and nobody waived it.
        UsageError: Another worker is at this run, or there is no such stage.
        VoxmillError: As the stage's exit code says; the log's path is in the message.
        StorageFailed: DVC could not fetch inputs or keep results; try again.
        OriginUnreachable: The git origin does not answer; the result is committed, try again.
        EngineMissing: The disk is full, or the launcher's engine is missing.
    """
    place = log_context(recipe=run.recipe, run=run.id, stage=stage, log=run.log)
    with place, worker_lock(run), _full_disk_told(run.folder):
        remove_stale_locks(Git(run.folder))
        _catch_up(run, stage, launcher)
        storage = storage_of(run)
        _refuse_behind_failed_gates(run, stage, storage)
        pending = read_pending(run.folder, stage)
        if pending is not None and pending.fingerprint == storage.fingerprint(stage):
            with leased(run, stage, lambda: stop_stage(run, stage, launcher)) as lease:
                return _continue(run, pending, launcher, lease)
        settled = None if force else storage.settle(stage)
        if settled is None:
            if force:
                storage.pull_inputs(stage)
            with leased(run, stage, lambda: stop_stage(run, stage, launcher)) as lease:
                return _launch(run, stage, launcher, lease)
        return _keep_settled(run, stage, settled)


def publish_rest(run: Run) -> None:
    """Pushes what restored stages have left unpushed; for whoever stops before the last stage.

    Raises:
        UsageError: Another worker is at this run.
        StorageFailed: The remote does not take the data.
        OriginUnreachable: The git origin does not answer.
    """
    with worker_lock(run), _full_disk_told(run.folder):
        if not is_published(run):
            publish(run, storage_of(run))


def stop_stage(run: Run, stage: str, launcher: Launcher) -> None:
    """Asks the stage's job to save and leave; returns at once, and does nothing without a job."""
    stage_launch.stop_stage(run.folder, run.recipe, stage, launcher)


def storage_of(run: Run) -> Storage:
    """DVC for this run; opened once for a thread, because opening takes half a second."""
    key = (run.folder, os.getpid())
    if getattr(_open, "key", None) != key:
        if getattr(_open, "key", (None, 0))[1] == os.getpid():
            _open.storage.close()
        _open.storage, _open.key = Storage(run.folder, run.recipe), key
    storage: Storage = _open.storage
    return storage


def forget_storage() -> None:
    """Makes the next `storage_of` read DVC's files anew: the branch has moved."""
    if getattr(_open, "key", (None, 0))[1] == os.getpid():
        _open.storage.close()
    _open.key = None, 0


def _refuse_behind_failed_gates(run: Run, stage: str, storage: Storage) -> None:
    """What is restored needs open gates too: a waiver holds for one run only."""
    state = read_state(run.folder)
    before = run.upstream(stage)
    failed = [name for name in before if name in state and state[name].verdict == "failed"]
    for name in failed:
        storage.pull(name)
    reports = [read_report(run.output(name)) for name in failed]
    waivers = read_waivers(run.memory)
    refuse_behind(reports, waivers, run_id=run.id, wanted=f"{stage} of {run.recipe}")


def _catch_up(run: Run, stage: str, launcher: Launcher) -> None:
    """Takes over what other hosts have finished; a job of ours that one of them outran is ended."""
    changed = catch_up(run)
    if not changed:
        return
    forget_storage()
    if stage in changed and read_pending(run.folder, stage) is not None:
        stop_stage(run, stage, launcher)
        clear_pending(run.folder, stage)
    for name in changed:
        storage_of(run).remove_output(name)


def _continue(run: Run, pending: Pending, launcher: Launcher, lease: Lease) -> StageState:
    report = _finished_output(run, pending.stage)
    if report is None:
        return _launch_again(run, pending, launcher, lease)
    logger.info("Stage %s of %s had ended; keeping its result", pending.stage, run.name)
    record = read_state(run.folder).get(pending.stage)
    _keep(run, pending.stage, report, record.seconds if record else 0.0)
    return "executed"


def _finished_output(run: Run, stage: str) -> StageReport | None:
    try:
        return check_output(run.output(stage), recipe=run.recipe, stage=stage)
    except VoxmillError:
        return None


def _launch(run: Run, stage: str, launcher: Launcher, lease: Lease) -> StageState:
    storage = storage_of(run)
    fingerprint = storage.fingerprint(stage)
    storage.remove_output(stage)
    attempt = next_attempt(run.folder, stage)
    before = Pending(stage=stage, attempt=attempt - 1, fingerprint=fingerprint)
    return _launch_again(run, before, launcher, lease)


def _launch_again(run: Run, before: Pending, launcher: Launcher, lease: Lease) -> StageState:
    stage, attempt = before.stage, before.attempt + 1
    note = Pending(stage=stage, attempt=attempt, fingerprint=before.fingerprint)
    write_pending(run.folder, note)
    mark(run.folder, stage, outcome="started", attempt=attempt, exit_code=None, time=_now())
    try:
        bring_starting_point(run.folder, run.recipe, stage, lambda: Project.of_clone(run.folder))
        result = stage_launch.launch_stage(run.folder, run.recipe, stage, launcher, attempt)
    except VoxmillError as error:
        _note_failure(run, stage, error.exit_code)
        raise
    if result.exit_code != 0:
        plan = stage_launch.plan_stage(run.folder, run.recipe, stage, attempt=attempt)
        ended = failure(plan, result)
        _note_failure(run, stage, ended.exit_code)
        raise ended
    lease.refuse_if_lost()
    report = read_report(run.output(stage))
    _keep(run, stage, report, result.seconds)
    return "executed"


def _note_failure(run: Run, stage: str, exit_code: int) -> None:
    left = exit_code in {CheckpointedAndLeft.exit_code, GpuLost.exit_code}
    outcome: Literal["stopped", "failed"] = "stopped" if left else "failed"
    clear_pending(run.folder, stage)
    if is_nearly_full(run.folder):  # nobody goes on with the half output, and it may be what fills
        shutil.rmtree(stage_launch.partial_of(run.output(stage)), ignore_errors=True)
    mark(run.folder, stage, outcome=outcome, exit_code=exit_code, time=_now())


def _keep(run: Run, stage: str, report: StageReport, seconds: float) -> None:
    remember(run.output(stage), run.memory)
    storage_of(run).commit(stage)
    mark(
        run.folder,
        stage,
        outcome="executed",
        verdict=report.verdict,
        seconds=round(seconds, 3),
        exit_code=0,
        time=_now(),
    )
    commit_stage(run, stage, run.output(stage))
    publish(run, storage_of(run))
    clear_pending(run.folder, stage)


def _keep_settled(run: Run, stage: str, settled: StageState) -> StageState:
    storage = storage_of(run)
    record = read_state(run.folder).get(stage)
    if settled == "restored" or record is None or record.outcome not in DONE:
        if not run.output(stage).is_dir():  # asking DVC costs a reading of all its files
            storage.pull(stage)
        report = read_report(run.output(stage))
        remember(run.output(stage), run.memory)
        mark(
            run.folder, stage, outcome="restored", verdict=report.verdict, exit_code=0, time=_now()
        )
        commit_stage(run, stage, run.output(stage))
    clear_pending(run.folder, stage)
    # Nothing is lost when a restored result is pushed late: it came out of the cache. So one push
    # at the end does for all of them.
    if stage == list(run.stages)[-1] and not is_published(run):
        publish(run, storage)
    return settled


@contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(folder, str(error)) from error
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
