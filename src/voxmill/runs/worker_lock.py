"""One worker at a time for each run of this machine; the lock falls with its process."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from voxmill.errors import UsageError
from voxmill.runs.run import Run

_held: set[tuple[str, int]] = set()


@contextmanager
def worker_lock(run: Run) -> Iterator[None]:
    """Holds the run for this thread; entering again in the same thread is free.

    The kernel drops the lock when the process ends, however it ends, so none is ever stale.

    Raises:
        UsageError: Another worker holds it; its process id and since when are in the message.
    """
    path = _path(run)
    key = (str(path), threading.get_ident())
    if key in _held:
        yield
        return
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(_busy(run, file)) from error
        _sign(file)
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)


def is_held(run: Run) -> bool:
    """Whether some worker is at this run now."""
    try:
        with _path(run).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _path(run: Run) -> Path:
    return run.folder / ".git" / "voxmill-worker"


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    file.write(json.dumps({"pid": os.getpid(), "since": since}))
    file.flush()


def _busy(run: Run, file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
    except ValueError:  # between taking the lock and signing it
        holder = {"pid": "unknown", "since": "just now"}
    return (
        f"Run {run.recipe}/{run.id}: another worker is at it (process {holder['pid']}, since "
        f"{holder['since']}). Wait for it, or stop it and `voxmill resume {run.id}`."
    )
