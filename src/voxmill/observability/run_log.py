"""`work/<recipe>/logs/<run>.log`: all events of a run, its worker's and its stages', in one file.

Several processes write it, in containers too. Each line is one write to a file opened for
appending, so lines never mix; the file is opened anew for each, so that whoever turns it over
needs to tell nobody.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from voxmill.observability.log_context import run_log

LARGEST_BYTES = 20_000_000
KEPT_FILES = 3
"""The log and its older parts, `<run>.log.1` and `<run>.log.2`."""


class RunLogHandler(logging.Handler):
    """Appends records to the log of the run that they belong to; elsewhere it does nothing.

    Everything of voxmill goes in; of other libraries, what is at least a warning.

    Args:
        largest_bytes: The size at which the file is turned over.
        kept_files: How many files there are at most.
    """

    def __init__(self, *, largest_bytes: int = LARGEST_BYTES, kept_files: int = KEPT_FILES) -> None:
        super().__init__()
        self._largest_bytes = largest_bytes
        self._kept_files = kept_files

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is the run's business."""
        ours = record.name.partition(".")[0] == "voxmill"
        return (ours or record.levelno >= logging.WARNING) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Appends a line; what the disk does not take is lost here, and stops nobody."""
        path = run_log()
        if path is None:
            return
        with suppress(OSError):
            line = self.format(record).encode("utf-8", errors="backslashreplace")
            if _append(path, line + b"\n") >= self._largest_bytes:
                _turn_over(path, self._largest_bytes, self._kept_files)


def _append(path: Path, line: bytes) -> int:
    """Writes the line; gives the file's size afterwards."""
    descriptor = _open(path)
    try:
        os.write(descriptor, line)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        if not path.parents[3].is_dir():  # the run itself is gone; a log does not bring it back
            raise
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)


def _turn_over(path: Path, largest_bytes: int, kept_files: int) -> None:
    """Renames the parts; what somebody is just writing goes into the part that it opened."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Nobody waits: who holds it turns over, be it this thread below a signal's handler.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_size < largest_bytes:
            return
        parts = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, kept_files))]
        for newer, older in reversed(list(pairwise(parts))):
            with suppress(FileNotFoundError):
                newer.rename(older)
    finally:
        os.close(folder)
