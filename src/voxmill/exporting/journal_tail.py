"""The newest value of every series of a journal, kept up to date by reading on where it ended.

A journal of 100,000 lines is read once, backwards through each block: a line whose shape (labels
and metric names) was seen later in the block can hold nothing newer and is not decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from voxmill.observability.curves import RESUMED, JournalLine, decode_line

_BLOCK_BYTES = 1 << 20
_NUMBERS = b"0123456789.+-"
_STEP = b', "step"'
_LAST_STEP = "voxmill_train_step"

Labels = tuple[tuple[str, str], ...]
SeriesKey = tuple[str, Labels]
"""Metric name and sorted labels."""


class Newest(NamedTuple):
    """The newest value of a series."""

    value: float
    step: int
    time: float
    """Seconds since 1970, as the writer's clock had it."""


@dataclass
class _Attempt:
    """What is known of one attempt's file."""

    inode: int = 0
    offset: int = 0
    """Of the first byte that is not read; always behind a line's end."""
    mtime: float = 0.0
    broken: int = 0
    last_time: float | None = None
    """Of the last line that could be read."""
    newest: dict[SeriesKey, Newest] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        found = self.newest.get((name, ()))
        return None if found is None else found.value


@dataclass
class JournalTail:
    """Reads `<folder>/<attempt>.jsonl` as they grow; files may appear, shrink, change and go.

    Attributes:
        folder: Where the journals of one recipe lie; may be missing.
    """

    folder: Path
    _attempts: dict[int, _Attempt] = field(default_factory=dict)

    def read_on(self) -> bool:
        """Takes in what was appended since the last call; tells whether there was anything.

        Raises:
            OSError: A file is there and cannot be read.
        """
        found = self._files()
        changed = bool(self._attempts.keys() - found.keys())
        self._attempts = {k: v for k, v in self._attempts.items() if k in found}
        for number, entry in sorted(found.items()):
            before = self._attempts.get(number, _Attempt())
            offset = before.offset
            try:
                after = _read_on(Path(entry.path), before)
            except FileNotFoundError:  # it went since it was listed
                self._attempts.pop(number, None)
                continue
            changed |= after is not before or after.offset != offset
            self._attempts[number] = after
        return changed

    @property
    def newest(self) -> Mapping[SeriesKey, Newest]:
        """The newest value of each series; of two attempts' the higher one's."""
        merged: dict[SeriesKey, Newest] = {}
        for number in sorted(self._attempts):
            merged.update(self._attempts[number].newest)
        return merged

    @property
    def broken_lines(self) -> int:
        """Lines that cannot be read; one without its end is a writer caught in the act."""
        return sum(state.broken for state in self._attempts.values())

    @property
    def last_line_time(self) -> float | None:
        """When the newest line came, seconds since 1970.

        Clocks jump: a line cannot have come after its file was last written, and a file whose
        lines say otherwise (copied from elsewhere) is as old as they say.
        """
        times = [
            min(state.last_time, state.mtime)
            for state in self._attempts.values()
            if state.last_time is not None
        ]
        return max(times, default=None)

    @property
    def restarts(self) -> int:
        """Attempts at training after the first one."""
        return max(0, len(self._trainings()) - 1)

    @property
    def lost_steps(self) -> int:
        """Steps that an attempt had made beyond the one that the next attempt went on from."""
        lost, before = 0, 0.0
        for state in self._trainings():
            resumed = state.value(RESUMED) or 0.0
            lost += max(0, int(before - resumed))
            before = max(resumed, state.value(_LAST_STEP) or 0.0)
        return lost

    def _trainings(self) -> list[_Attempt]:
        states = [self._attempts[number] for number in sorted(self._attempts)]
        return [state for state in states if state.value(RESUMED) is not None]

    def _files(self) -> dict[int, os.DirEntry[str]]:
        try:
            with os.scandir(self.folder) as entries:
                return {
                    int(entry.name[:-6]): entry
                    for entry in entries
                    if entry.name.endswith(".jsonl") and entry.name[:-6].isdigit()
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}


def _read_on(path: Path, state: _Attempt) -> _Attempt:
    """The state, brought up to date; a new one where the file is another, or was cut short."""
    known = path.stat()
    if known.st_ino != state.inode or known.st_size < state.offset:
        state = _Attempt(inode=known.st_ino)
    if known.st_size > state.offset:
        with path.open("rb") as file:
            for block in _whole_lines(file, state.offset):
                _take_in(block, state)
                state.offset += len(block)
            state.mtime = os.fstat(file.fileno()).st_mtime
    return state


def _whole_lines(file: BinaryIO, offset: int) -> Iterator[bytes]:
    """Blocks that end with a line's end; what follows the last one is left for the next time."""
    file.seek(offset)
    rest = b""
    while block := file.read(_BLOCK_BYTES):
        block = rest + block
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield block[:end]


def _take_in(block: bytes, state: _Attempt) -> None:
    shapes: set[bytes] = set()
    newest: dict[SeriesKey, Newest] = {}
    last: JournalLine | None = None
    for row in reversed(block.split(b"\n")):
        if not row:
            continue
        shape = _shape(row)
        if shape in shapes:
            continue
        line = decode_line(row)
        if line is None:
            state.broken += 1
            continue
        shapes.add(shape)
        last = last or line
        labels = tuple(sorted(line.labels.items()))
        for name, value in line.values.items():
            newest.setdefault((name, labels), Newest(value, line.step, line.time))
    state.newest.update(newest)
    if last is not None:
        state.last_time = last.time


def _shape(row: bytes) -> bytes:
    """Equal for lines with the same labels and names; the values' digits are left out."""
    head = row.find(_STEP)
    if head < 0:
        return row
    return row[:head] + row[head:].translate(None, _NUMBERS)
