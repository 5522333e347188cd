"""The launcher `docker`: a stage is a container of its own on this machine's Docker engine.

The container outlives its launcher and its worker; its name finds it again, `inspect` tells
whether it lives, and its log is read on by `since`. What happens when something is killed:

- the launcher: the container goes on; the next try attaches, or collects the result;
- the container: its exit code is 137, and the next try starts anew from the newest checkpoint;
- the engine: it is waited for. With `live-restore` the container goes on meanwhile; without it the
  engine asks the container to leave before it stops, and the next try goes on from its checkpoint.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.container import (
    Command,
    container_command,
    container_name,
    creation,
    gpus_of,
    image_of,
)
from voxmill.launchers.container_job import (
    OUT_OF_MEMORY,
    attempt_of,
    belongs_to,
    has_ended,
    result_of,
    started_at,
)
from voxmill.launchers.container_log import ContainerLog
from voxmill.launchers.engine import PATIENCE_SECONDS, Engine
from voxmill.launchers.fingerprint import fingerprint
from voxmill.launchers.gpu_claims import named_gpus, start_on_gpus, when_free
from voxmill.launchers.jobs import JobFiles, JobResult
from voxmill.launchers.launcher import START_AGAIN, StageResult, StageRun
from voxmill.launchers.outcome import in_words
from voxmill.launchers.reaper import StopOrder
from voxmill.launchers.room import room_wanted
from voxmill.observability.log_line import pass_on

if TYPE_CHECKING:
    from docker.models.containers import Container

POLL_SECONDS = (0.1, 1.0)
"""The first and the longest pause between two looks at a container."""
START_SECONDS = 20.0
"""How long to wait for somebody else who is just starting the same container."""


@dataclass(frozen=True)
class _Rejoined:
    result: StageResult
    live: bool
    """True where the job still ran when this try came."""


class DockerLauncher:
    """Runs stages as containers.

    Args:
        command: Builds the command line of a stage, with the container's paths.
        emit: Takes each line of the job's log; by default standard output does,
            in the form of this process's own log.
        patience_seconds: How long an engine that went away is waited for.

    Raises:
        UsageError: `VOXMILL_GPUS` is wrong.
    """

    name = "docker"

    def __init__(
        self,
        command: Command = container_command,
        *,
        emit: Callable[[str], None] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._command = command
        self._emit = emit or pass_on
        self._patience = patience_seconds
        self._asked_to_stop = threading.Event()
        named_gpus()  # a mistake there is told now, and not hours later by the first that needs one

    def run(self, stage_run: StageRun) -> StageResult:
        """Runs the stage to its end; see the port."""
        self._asked_to_stop.clear()
        with room_wanted(stage_run):
            engine = Engine(self._emit, patience_seconds=self._patience)
            deadline = time.monotonic() + START_SECONDS
            while True:
                found = self._rejoin(engine, stage_run)
                if found is not None and (found.live or not _starts_again(found.result)):
                    return found.result
                container = when_free(
                    lambda: self._start(engine, stage_run),
                    self._emit,
                    stopped=self._asked_to_stop.is_set,
                )
                if container is not None:
                    return self._follow(engine, stage_run, container, attached=False)
                if time.monotonic() > deadline:
                    raise EngineMissing(_held_elsewhere(stage_run))
                time.sleep(POLL_SECONDS[0])

    def attach(self, stage_run: StageRun) -> StageResult | None:
        """Follows the running container or collects the ended one; see the port."""
        with room_wanted(stage_run):
            engine = Engine(self._emit, patience_seconds=self._patience)
            found = self._rejoin(engine, stage_run)
        return None if found is None else found.result

    def stop(self, stage_run: StageRun, *, grace_seconds: float) -> None:
        """Asks the container to save and leave; see the port.

        A process of its own session does it, so that it is done although this one has five
        seconds to live.
        """
        self._asked_to_stop.set()
        StopOrder(
            container=container_name(stage_run),
            given=time.time(),
            stage=stage_run.stage,
            work=stage_run.work,
            grace_seconds=grace_seconds,
        ).start()

    def _rejoin(self, engine: Engine, stage_run: StageRun) -> _Rejoined | None:
        container = engine.find(container_name(stage_run))
        files = JobFiles(stage_run.work, stage_run.stage)
        if container is None:
            return _left_over(stage_run, files)
        same = belongs_to(container, fingerprint(stage_run))
        if container.status == "created":  # whoever made it died before starting it
            engine.remove(container)
            return None
        running = not has_ended(container)
        if running and not same:
            raise UsageError(_other_job(stage_run, container))
        if running:
            self._emit(_greeting(stage_run, container))
        elif files.taken_result(attempt_of(container)) is not None:
            engine.remove(container)
            return _left_over(stage_run, files)
        result = self._follow(engine, stage_run, container, attached=True)
        return _Rejoined(result, live=running) if same else None

    def _start(self, engine: Engine, stage_run: StageRun) -> Container | None:
        """Starts a container; None where somebody else is at it."""
        files = JobFiles(stage_run.work, stage_run.stage)
        with files.locked() as lock:
            if lock is None:
                raise UsageError(_process_there(stage_run))
            files.result.unlink(missing_ok=True)
            files.taken(stage_run.attempt).unlink(missing_ok=True)
            files.offset(stage_run.attempt).unlink(missing_ok=True)
            _write_fingerprint(files, stage_run)
            if stage_run.out.exists():
                shutil.rmtree(stage_run.out)
            stage_run.out.mkdir(parents=True)
            (stage_run.work / "home").mkdir(parents=True, exist_ok=True)
            container = start_on_gpus(
                engine, creation(stage_run, self._command), gpus_of(stage_run.resources)
            )
        if container is not None:
            self._note_revision(engine, stage_run)
        return container

    def _note_revision(self, engine: Engine, stage_run: StageRun) -> None:
        built = engine.revision_of(image_of(stage_run))
        wanted = str(stage_run.resources.get("commit") or "")
        commit, dirty, _ = built.partition("-dirty")
        if wanted and (dirty or not wanted.startswith(commit)):
            changes = " with uncommitted changes" if dirty else ""
            self._emit(
                f"warning: image {image_of(stage_run)} was built from commit {commit[:10]}"
                f"{changes}, this run began at {wanted[:10]}: the code that runs is the image's. "
                f"`make images` builds it anew."
            )

    def _follow(
        self, engine: Engine, stage_run: StageRun, container: Container, *, attached: bool
    ) -> StageResult:
        """Passes the log on until the container has ended; takes its result and removes it."""
        files = JobFiles(stage_run.work, stage_run.stage)
        attempt = attempt_of(container)
        log = ContainerLog(container, files.log(attempt), files.offset(attempt), self._emit)
        pause = POLL_SECONDS[0]
        found: Container | None = container
        while found is not None and not has_ended(found):
            engine.enduring(log.pass_on)
            time.sleep(pause)
            pause = min(POLL_SECONDS[1], pause * 1.1)
            found = engine.find(container_name(stage_run))
        if found is None:  # the reaper took it while nobody seemed to follow
            result = files.outcome(attempt) or _vanished(attempt)
            files.take(attempt)
        else:
            engine.enduring(log.finish)
            result = result_of(found)
            files.bury(result)
            engine.remove(found)
        return _stage_result(result, stage_run, files, attached=attached)


def _left_over(stage_run: StageRun, files: JobFiles) -> _Rejoined | None:
    """A result whose container is gone: the reaper kept it, or its taker died too early."""
    if _read_fingerprint(files) != fingerprint(stage_run):
        return None
    kept = files.kept()
    if kept is not None:
        files.take(kept.attempt)
        return _Rejoined(_stage_result(kept, stage_run, files, attached=True), live=False)
    taken = files.taken_result(files.next_attempt() - 1)
    if taken is None or taken.exit_code != 0 or not (stage_run.out / "report.json").is_file():
        return None
    return _Rejoined(_stage_result(taken, stage_run, files, attached=True), live=False)


def _write_fingerprint(files: JobFiles, stage_run: StageRun) -> None:
    files.container.write_text(fingerprint(stage_run), "ascii")


def _read_fingerprint(files: JobFiles) -> str:
    return files.container.read_text("ascii") if files.container.is_file() else ""


def _starts_again(result: StageResult) -> bool:
    return result.exit_code in START_AGAIN or result.exit_code > 128


def _stage_result(
    result: JobResult, stage_run: StageRun, files: JobFiles, *, attached: bool
) -> StageResult:
    return StageResult(
        exit_code=result.exit_code,
        seconds=result.seconds,
        attached=attached,
        cause=_words(result, stage_run),
        log=files.log(result.attempt),
    )


def _words(result: JobResult, stage_run: StageRun) -> str:
    if result.cause == OUT_OF_MEMORY:
        limit = stage_run.resources.get("memory_gb")
        where = f"its limit of {limit} GiB" if limit else "what the machine has"
        return (
            f"killed for using more memory than {where}: raise resources.memory_gb, or make "
            f"batches smaller (train.batch_seconds)"
        )
    if result.exit_code == 128 + 9:
        return "killed by SIGKILL: somebody, or the kernel for want of memory on the machine"
    return in_words(result)


def _vanished(attempt: int) -> JobResult:
    return JobResult(attempt=attempt, exit_code=137, cause="removed by somebody", seconds=0.0)


def _greeting(stage_run: StageRun, container: Container) -> str:
    since = started_at(container).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"attached to the job of try {attempt_of(container)}, container "
        f"{container_name(stage_run)}, running since {since}"
    )


def _other_job(stage_run: StageRun, container: Container) -> str:
    name = container_name(stage_run)
    return (
        f"Container {name} of try {attempt_of(container)} still runs, with another recipe or other "
        f"inputs. Wait for it, or end it with `docker stop -t {stage_run.grace_seconds:.0f} "
        f"{name}`: it checkpoints and leaves."
    )


def _process_there(stage_run: StageRun) -> str:
    return (
        f"Stage {stage_run.stage} of {stage_run.run} runs as a process on this machine already. "
        f"Wait for it, or go on with --launcher process."
    )


def _held_elsewhere(stage_run: StageRun) -> str:
    name = container_name(stage_run)
    return (
        f"Container {name} comes and goes: another worker starts the same stage. End that one, or "
        f"look with `docker ps -a --filter name={name}`."
    )
