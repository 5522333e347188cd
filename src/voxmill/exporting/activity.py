"""Whether somebody is at a run now: its worker, or the job of one of its stages.

Looking must not disturb: trying a worker's lock would make a worker that starts at that moment
fail, so the kernel's own list of locks is read. It shows those of other containers to nobody.
"""

from __future__ import annotations

from pathlib import Path

from voxmill.launchers.jobs import JobFiles, JobRecord
from voxmill.runs.run import Run
from voxmill.runs.state import StageRecord
from voxmill.runs.worker_lock import lock_path

SILENT_SECONDS = 3600.0
"""A container's job leaves no process to look at: it goes on while log or journal grew of late.

Longer than TrainingStalled waits: an exporter that is in a container too sees nobody's locks, and a
trainer that hangs would be one that was stopped before it could be told of."""


def locked_inodes(locks: Path = Path("/proc/locks")) -> frozenset[int]:
    """The inodes that some process of this machine holds a lock on."""
    try:
        rows = locks.read_text("ascii").splitlines()
    except OSError:
        return frozenset()
    found = [row.split() for row in rows]
    places = [row[5] for row in found if len(row) > 5 and row[1] == "FLOCK"]
    return frozenset(int(place.rpartition(":")[2]) for place in places)


def is_attended(run: Run, locked: frozenset[int]) -> bool:
    """Whether a worker holds the run, given `locked_inodes`."""
    try:
        return lock_path(run).stat().st_ino in locked
    except OSError:
        return False


def job_goes_on(
    files: JobFiles, record: StageRecord | None, job: JobRecord | None, *, now: float
) -> bool:
    """Whether a stage's job goes on.

    Args:
        files: The stage's.
        record: What stages.json has of it.
        job: The newest job, where a process keeps it.
        now: Seconds since 1970.
    """
    if job is not None and (record is None or job.attempt >= record.attempt):
        return job.warden.alive and files.outcome(job.attempt) is None
    if record is None or record.outcome != "started" or files.outcome(record.attempt) is not None:
        return False
    journal = files.folder.parent / "journal" / f"{record.attempt}.jsonl"
    return now - max(_mtime(files.log(record.attempt)), _mtime(journal)) < SILENT_SECONDS


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
