"""One worker at a time for each run of this machine; the lock falls with its process."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from voxmill.errors import UsageError
from voxmill.runs.run import Run

logger = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 1.0
_held: set[tuple[str, int]] = set()


@contextmanager
def worker_lock(run: Run, *, wait: bool = False) -> Iterator[None]:
    """Holds the run for this thread; entering again in the same thread is free.

    The kernel drops the lock when the process ends, however it ends, so none is ever stale.

    Args:
        run: The run.
        wait: Wait for another worker instead of refusing. For Airflow's tasks: one stage of a run
            waits for another, and a new try for an old one whose process lives on although its
            supervisor died; a person at a terminal is rather told at once.

    Raises:
        UsageError: Another worker holds it; its process id and since when are in the message.
    """
    path = lock_path(run)
    key = (str(path), threading.get_ident())
    if key in _held:
        yield
        return
    with path.open("a+") as file:
        _take(run, file, wait=wait)
        _sign(file)
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)


def is_held(run: Run) -> bool:
    """Whether some worker is at this run now."""
    try:
        with lock_path(run).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def lock_path(run: Run) -> Path:
    """The file that a worker locks; its inode is in /proc/locks while one does."""
    return run.folder / ".git" / "voxmill-worker"


def _take(run: Run, file: IO[str], *, wait: bool) -> None:
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise UsageError(_busy(run, file)) from error
            if not told:
                logger.info("%s Waiting for it.", _held_by(run, file))
                told = True
            # Asking again, and not a blocking flock: a signal's handler has to get its turn.
            time.sleep(_ASK_AGAIN_SECONDS)
        else:
            return


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    file.write(json.dumps({"pid": os.getpid(), "since": since}))
    file.flush()


def _busy(run: Run, file: IO[str]) -> str:
    return f"{_held_by(run, file)} Wait for it, or stop it and `voxmill resume {run.id}`."


def _held_by(run: Run, file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
    except ValueError:  # between taking the lock and signing it
        holder = {"pid": "unknown", "since": "just now"}
    return (
        f"Run {run.recipe}/{run.id}: another worker is at it (process {holder['pid']}, since "
        f"{holder['since']})."
    )
