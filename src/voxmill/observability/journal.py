"""The journal: what happened at each step, one JSON object a line, one file an attempt.

Training opens no port and needs no network: it appends lines, and the exporter, the report and the
next attempt read them. Lines are gathered and written with one `write` on a descriptor opened
with O_APPEND, so that two writers never interleave within a line; a full disk costs figures, never
the run.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voxmill.observability.catalogue import check_labels, check_names
from voxmill.observability.curves import JournalLine, read_journal

__all__ = ["JournalLine", "JournalRecorder", "next_attempt", "read_journal"]

logger = logging.getLogger(__name__)

_MAX_WAITING_BYTES = 64 * 1024 * 1024
_NO_LABELS: Mapping[str, str] = {}


class JournalRecorder:
    """Appends to `<folder>/<attempt>.jsonl`; at most a second of lines waits in memory."""

    def __init__(
        self,
        folder: Path,
        *,
        attempt: int,
        flush_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Opens the attempt's file, after what it may already hold.

        Args:
            folder: Where the journals of one recipe lie; made if it is missing.
            attempt: Number of this try, from 1; of two lines for one step the highest wins.
            flush_seconds: How long a line may wait in memory.
            clock: Seconds since 1970 for the lines' `time`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{attempt}.jsonl"
        self._attempt = attempt
        self._clock = clock
        self._lock = threading.Lock()
        self._known: set[tuple[Any, ...]] = set()
        self._lines: list[str] = []
        self._unwritten = b"" if _ends_cleanly(self.path) else b"\n"
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._complained = False
        self._closing = threading.Event()
        self._writer = threading.Thread(
            target=self._write_regularly, args=(flush_seconds,), name="journal", daemon=True
        )
        self._writer.start()

    def record(
        self,
        values: Mapping[str, float],
        *,
        step: int,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Adds a line; see `Recorder.record`."""
        labels = labels or _NO_LABELS
        self._check(values, labels)
        line = _encode(
            {
                "attempt": self._attempt,
                "labels": labels,
                "step": step,
                "time": round(self._clock(), 3),
                "values": values,
            }
        )
        with self._lock:
            self._lines.append(line)

    def flush(self) -> None:
        """Writes what waits; see `Recorder.flush`."""
        with self._lock:
            if self._descriptor < 0 or not (self._lines or self._unwritten):
                return
            data = self._unwritten + "".join(self._lines).encode()
            self._lines.clear()
            self._unwritten = self._write(data)

    def close(self) -> None:
        """Writes what waits and closes the file; a second call does nothing."""
        if self._descriptor < 0:
            return
        self._closing.set()
        self._writer.join()
        self.flush()
        with self._lock:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, values: Mapping[str, float], labels: Mapping[str, str]) -> None:
        key = (*values, *labels.items())
        if key not in self._known:  # a training step records the same names each time
            check_names(values)
            for name in values:
                check_labels(name, labels)
            self._known.add(key)

    def _write(self, data: bytes) -> bytes:
        """Writes as much as the disk takes and gives back the rest."""
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            if not self._complained:
                logger.warning("Journal %s cannot be written: %s; going on", self.path, error)
                self._complained = True
            # Lines that are worth less than the memory they hold: the oldest go first.
            return data[-_MAX_WAITING_BYTES:]
        self._complained = False
        return b""

    def _write_regularly(self, seconds: float) -> None:
        while not self._closing.wait(seconds):
            self.flush()


def next_attempt(folder: Path) -> int:
    """The number after the highest attempt whose journal lies in the folder; 1 for none."""
    found = [int(path.stem) for path in folder.glob("*.jsonl") if path.stem.isdigit()]
    return max(found, default=0) + 1


def _encode(line: Mapping[str, Any]) -> str:
    try:
        return json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
    except (TypeError, ValueError):  # numpy's numbers; NaN and infinities, which JSON lacks
        plain = {name: _number(value) for name, value in line["values"].items()}
        return json.dumps({**line, "values": plain}, sort_keys=True, allow_nan=False) + "\n"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _ends_cleanly(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
