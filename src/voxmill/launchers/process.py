"""The launcher `process`: a stage is a process of its own session on this machine.

A small warden (`warden.py`) keeps each job, so that it outlives its launcher. What happens when
something is killed outright:

- the launcher: the job goes on; the next try attaches and passes on the rest of the log;
- the warden: the kernel sends the job SIGTERM, so that it saves and leaves; whoever follows it, or
  comes next, ends what is left of it after the grace and counts it as killed (137);
- the job: the warden writes down of what it died (137), and the next try starts anew.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.environment import stage_environment
from voxmill.launchers.fingerprint import fingerprint
from voxmill.launchers.jobs import JobFiles, JobOrder, JobRecord, JobResult
from voxmill.launchers.launcher import START_AGAIN, StageResult, StageRun
from voxmill.launchers.log_follower import LogFollower
from voxmill.launchers.outcome import in_words
from voxmill.launchers.room import room_wanted
from voxmill.launchers.stage_command import stage_command
from voxmill.launchers.wardens import LocalWardens, Wardens
from voxmill.observability.log_line import pass_on

START_SECONDS = 20.0
"""How long to wait for somebody else who is just starting the same job."""
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class _Rejoined:
    result: StageResult
    live: bool
    """True where the job still ran when this try came."""


class ProcessLauncher:
    """Runs stages as processes of this machine.

    Args:
        command: Builds the command line of a stage.
        environment: Builds its environment variables.
        emit: Takes each line of the job's log; by default standard output does,
            in the form of this process's own log.
        wardens: Where the jobs' wardens live.
    """

    name = "process"

    def __init__(
        self,
        command: Callable[[StageRun], list[str]] = stage_command,
        *,
        environment: Callable[[StageRun], dict[str, str]] = stage_environment,
        emit: Callable[[str], None] | None = None,
        wardens: Wardens | None = None,
    ) -> None:
        self._command = command
        self._environment = environment
        self._wardens = wardens or LocalWardens()
        self._emit = emit or pass_on

    def run(self, stage_run: StageRun) -> StageResult:
        """Runs the stage to its end; see the port."""
        with room_wanted(stage_run):
            files = JobFiles(stage_run.work, stage_run.stage)
            deadline = time.monotonic() + START_SECONDS
            while True:
                found = self._rejoin(stage_run, files)
                if found is not None and (found.live or not _starts_again(found.result)):
                    return found.result
                record = self._start(stage_run, files)
                if record is not None:
                    return self._follow(files, record, attached=False)
                if time.monotonic() > deadline:
                    raise EngineMissing(_held_elsewhere(stage_run, files))
                time.sleep(0.1)

    def attach(self, stage_run: StageRun) -> StageResult | None:
        """Follows the running job or collects the ended one; see the port."""
        with room_wanted(stage_run):
            found = self._rejoin(stage_run, JobFiles(stage_run.work, stage_run.stage))
        return None if found is None else found.result

    def stop(self, stage_run: StageRun, *, grace_seconds: float) -> None:
        """Asks the job to save and leave; see the port."""
        files = JobFiles(stage_run.work, stage_run.stage)
        record = files.record()
        if record is None or record.run != stage_run.run:
            return
        if self._wardens.alive(record, files):
            self._wardens.ask_to_stop(record, files, grace_seconds)

    def _rejoin(self, stage_run: StageRun, files: JobFiles) -> _Rejoined | None:
        record = files.record()
        if record is None:
            return None
        same = record.run == stage_run.run and record.fingerprint == fingerprint(stage_run)
        running = self._wardens.alive(record, files) and files.outcome(record.attempt) is None
        if running and not same:
            raise UsageError(_other_job(stage_run, record))
        if running:
            self._emit(_greeting(record, files))
        elif files.outcome(record.attempt) is None:
            self._bury(files, record)
            return None
        elif files.ended(record.attempt) is None:
            return self._unfinished(stage_run, files, record) if same else None
        result = self._follow(files, record, attached=True)
        return _Rejoined(result, live=running) if same else None

    @staticmethod
    def _unfinished(stage_run: StageRun, files: JobFiles, record: JobRecord) -> _Rejoined | None:
        """A good result whose taker died before the output had its final name."""
        taken = files.taken_result(record.attempt)
        if taken is None or taken.exit_code != 0 or not (stage_run.out / "report.json").is_file():
            return None
        return _Rejoined(_stage_result(taken, record, attached=True), live=False)

    def _start(self, stage_run: StageRun, files: JobFiles) -> JobRecord | None:
        """Starts a job; None where somebody else is at it."""
        self._wardens.admit(stage_run)
        with files.locked() as lock:
            before = files.record()
            if lock is None or (before and files.taken_result(before.attempt) is None):
                return None
            for stale in (files.result, files.stop, files.taken(stage_run.attempt)):
                stale.unlink(missing_ok=True)
            if stage_run.out.exists():
                shutil.rmtree(stage_run.out)
            stage_run.out.mkdir(parents=True)
            (stage_run.work / "home").mkdir(exist_ok=True)
            self._wardens.start(self._orders(stage_run, files), lock, files)
        return files.record()

    def _orders(self, stage_run: StageRun, files: JobFiles) -> dict[str, Any]:
        order = JobOrder(
            run=stage_run.run,
            stage=stage_run.stage,
            attempt=stage_run.attempt,
            command=self._command(stage_run),
            fingerprint=fingerprint(stage_run),
            log=files.log(stage_run.attempt),
            started=time.time(),
            grace_seconds=stage_run.grace_seconds,
        )
        return {
            "record": order.model_dump(mode="json"),
            "command": order.command,
            "env": self._environment(stage_run),
            "cwd": str(stage_run.work),
            "log": str(order.log),
            "job": str(files.job),
            "result": str(files.result),
            "stop": str(files.stop),
            "timeout_seconds": stage_run.timeout_seconds,
            "grace_seconds": stage_run.grace_seconds,
        }

    def _follow(self, files: JobFiles, record: JobRecord, *, attached: bool) -> StageResult:
        """Passes the log on until the job has ended, and takes its result."""
        pause = 0.02
        with LogFollower(record.log, files.offset(record.attempt), self._emit) as follower:
            while (result := files.outcome(record.attempt)) is None:
                follower.pass_on()
                lost = not self._wardens.alive(record, files)
                if lost and files.outcome(record.attempt) is None:
                    self._emit("the job's warden was killed; ending what is left of the job")
                    self._bury(files, record)
                else:
                    time.sleep(pause)
                    pause = min(0.25, pause * 1.1)
            follower.finish()
        files.take(record.attempt)
        return _stage_result(result, record, attached=attached)

    def _bury(self, files: JobFiles, record: JobRecord) -> None:
        """Ends what is left of a job whose warden was killed, and counts it as killed."""
        with files.locked() as lock:
            if lock is None:  # somebody else is doing it
                time.sleep(0.1)
                return
            self._wardens.end(record)
            files.bury(
                JobResult(
                    attempt=record.attempt,
                    exit_code=KILLED,
                    cause="warden lost",
                    seconds=time.time() - record.started,
                )
            )


def _starts_again(result: StageResult) -> bool:
    return result.exit_code in START_AGAIN or result.exit_code > 128


def _stage_result(result: JobResult, record: JobRecord, *, attached: bool) -> StageResult:
    return StageResult(
        exit_code=result.exit_code,
        seconds=result.seconds,
        attached=attached,
        cause=in_words(result),
        log=record.log,
        max_rss_bytes=result.max_rss_bytes,
    )


def _greeting(record: JobRecord, files: JobFiles) -> str:
    since = datetime.fromtimestamp(record.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    earlier = f"; earlier lines: {record.log}" if files.offset(record.attempt).exists() else ""
    return (
        f"attached to the job of try {record.attempt}, pid {record.child_pid}, running since "
        f"{since}{earlier}"
    )


def _other_job(stage_run: StageRun, record: JobRecord) -> str:
    what = "with another recipe or other inputs" if record.run == stage_run.run else record.run
    return (
        f"Stage {stage_run.stage} of {stage_run.run}: a job of try {record.attempt} "
        f"(pid {record.child_pid}) still runs in {stage_run.work}, {what}. Wait for it, or end it "
        f"with `kill {record.pid}`: it checkpoints and leaves."
    )


def _held_elsewhere(stage_run: StageRun, files: JobFiles) -> str:
    return (
        f"Stage {stage_run.stage} of {stage_run.run}: {files.folder / (files.stage + '.lock')} is "
        "held by a process that cannot be seen from here (another container on this host?). "
        "End it there, then start again."
    )
