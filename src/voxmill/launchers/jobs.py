"""The files by which launchers and wardens know of a stage's job: `work/jobs/<stage>.*`.

`.json`                      the newest job: who keeps it, what it runs, where its log is
`.result.json`               how it ended; there from its end until somebody takes it
`.result.<attempt>.taken.json`  the same, taken
`.<attempt>.offset`          how much of its log has been passed on
`.lock`                      held by the warden for as long as it lives
`.stop`                      grace in seconds that whoever asked it to stop gave
`.container`                 fingerprint of the newest job that was a container
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from voxmill.launchers.processes import ProcessId

T = TypeVar("T", bound=BaseModel)


class JobOrder(BaseModel):
    """What a job is, before it has started."""

    model_config = ConfigDict(frozen=True)

    run: str
    stage: str
    attempt: int
    command: list[str]
    fingerprint: str
    """Of the recipe and of the inputs' reports: another one makes another result."""
    log: Path
    started: float
    """Seconds since 1970."""
    grace_seconds: float


class JobRecord(JobOrder):
    """A job that a warden keeps."""

    pid: int
    """Of the warden."""
    ticks: int
    child_pid: int
    """Of the job's first process, which leads its session."""
    child_ticks: int

    @property
    def warden(self) -> ProcessId:
        """The process that keeps the job."""
        return ProcessId(self.pid, self.ticks)

    @property
    def child(self) -> ProcessId:
        """The job's first process."""
        return ProcessId(self.child_pid, self.child_ticks)


class JobResult(BaseModel):
    """How a job ended."""

    model_config = ConfigDict(frozen=True)

    attempt: int
    exit_code: int
    cause: str
    """`exited`, `stopped`, `timed out`, `warden lost`."""
    seconds: float
    max_rss_bytes: int = 0
    """Of the largest process."""
    oom_kills: int = 0
    """Processes of this machine that the kernel killed for want of memory meanwhile."""


class JobFiles:
    """The job files of one stage in one work folder."""

    def __init__(self, work: Path, stage: str) -> None:
        self.folder = work / "jobs"
        self.logs = work / "logs"
        self.stage = stage
        self.job = self.folder / f"{stage}.json"
        self.result = self.folder / f"{stage}.result.json"
        self.stop = self.folder / f"{stage}.stop"
        self.container = self.folder / f"{stage}.container"

    def log(self, attempt: int) -> Path:
        """Where a try writes what it says."""
        return self.logs / f"{self.stage}.{attempt}.log"

    def offset(self, attempt: int) -> Path:
        """Where it stands how much of a try's log has been passed on."""
        return self.folder / f"{self.stage}.{attempt}.offset"

    def taken(self, attempt: int) -> Path:
        """Where a try's result goes when somebody has taken it."""
        return self.folder / f"{self.stage}.result.{attempt}.taken.json"

    def record(self) -> JobRecord | None:
        """The newest job; None where there was none."""
        return _read(self.job, JobRecord)

    def ended(self, attempt: int) -> JobResult | None:
        """The result of a try that nobody has taken yet."""
        result = _read(self.result, JobResult)
        return result if result is not None and result.attempt == attempt else None

    def taken_result(self, attempt: int) -> JobResult | None:
        """The result of a try that somebody has taken."""
        return _read(self.taken(attempt), JobResult)

    def outcome(self, attempt: int) -> JobResult | None:
        """How a try ended, taken or not; None while it runs."""
        return self.ended(attempt) or self.taken_result(attempt)

    def goes_on(self, attempt: int) -> bool | None:
        """Whether a try's job still runs; None where it is a container: only its engine knows."""
        record = self.record()
        if self.outcome(attempt) is not None:
            return False
        if record is not None and record.attempt == attempt:
            return self._is_locked()
        return None if self.container.exists() else False

    def take(self, attempt: int) -> None:
        """Marks a try's result as taken; no harm where somebody else already has."""
        if self.ended(attempt) is not None:
            with suppress(FileNotFoundError):
                self.result.rename(self.taken(attempt))

    def bury(self, result: JobResult) -> None:
        """Writes down how a job ended that could not do so itself, as a result already taken."""
        draft = self.folder / f"{self.stage}.buried.draft"
        draft.write_text(result.model_dump_json() + "\n", "utf-8")
        draft.replace(self.taken(result.attempt))

    def keep(self, result: JobResult) -> None:
        """Writes down how a job ended, for whoever comes next to take."""
        draft = self.folder / f"{self.stage}.kept.draft"
        draft.write_text(result.model_dump_json() + "\n", "utf-8")
        draft.replace(self.result)

    def kept(self) -> JobResult | None:
        """The result that nobody has taken yet, whichever try's."""
        return _read(self.result, JobResult)

    def next_attempt(self) -> int:
        """One more than the highest try that has left a log."""
        found = [path.name.split(".")[-2] for path in self.logs.glob(f"{self.stage}.*.log")]
        return 1 + max((int(number) for number in found if number.isdigit()), default=0)

    @contextmanager
    def locked(self) -> Iterator[int | None]:
        """The lock's file descriptor, or None while a warden or another launcher holds it.

        The lock belongs to the open file: a process that inherits the descriptor keeps it locked.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / f"{self.stage}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def _is_locked(self) -> bool:
        """By the warden, in whichever container of this machine it lives."""
        try:
            with (self.folder / f"{self.stage}.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
