"""Passes a growing log file on, line by line, each line once."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 1 << 20
_DIGITS = 20


class LogFollower:
    """Reads on where the last reader of the same log stopped, be it in another process.

    How far it is stands in a small file, written in place after each line: a reader that is killed
    leaves at most the one line that it was just passing on to be passed on again.

    Args:
        log: The file that grows; it need not be there yet.
        offset: The file that says how much has been passed on.
        emit: Takes a line without its line break.
    """

    def __init__(self, log: Path, offset: Path, emit: Callable[[str], None]) -> None:
        self._log = log
        self._emit = emit
        self._place = os.open(offset, os.O_RDWR | os.O_CREAT, 0o644)
        self.passed_bytes = int(os.pread(self._place, _DIGITS, 0) or b"0")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._place)

    def pass_on(self) -> None:
        """Passes on every whole line that is there now."""
        while whole := self._whole_lines():
            for line in BytesIO(whole):
                self._one(line)

    def finish(self) -> None:
        """Passes on what is left, the last line even where it has no line break."""
        self.pass_on()
        if rest := self._read():
            self._one(rest)

    def _whole_lines(self) -> bytes:
        found = self._read()
        end = found.rfind(b"\n") + 1
        return found if not end and len(found) == CHUNK_BYTES else found[:end]

    def _one(self, line: bytes) -> None:
        self._emit(line.rstrip(b"\r\n").decode("utf-8", errors="replace"))
        self.passed_bytes += len(line)
        os.pwrite(self._place, b"%0*d" % (_DIGITS, self.passed_bytes), 0)

    def _read(self) -> bytes:
        try:
            with self._log.open("rb") as file:
                file.seek(self.passed_bytes)
                return file.read(CHUNK_BYTES)
        except FileNotFoundError:
            return b""
