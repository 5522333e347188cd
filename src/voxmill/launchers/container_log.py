"""Passes a container's log on, each line once, although readers and engines come and go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from voxmill.observability.log_line import as_text

if TYPE_CHECKING:
    from docker.models.containers import Container


class ContainerLog:
    """Reads on by `since` where the last reader of the same log stopped.

    The engine's stamps have nanoseconds but its `since` counts from whole seconds here, so the
    lines of the last second come again and are dropped by their stamps. Lines go into a file too,
    as text: the engine's own log goes when the container does.

    Args:
        container: Whose log it is.
        log: The file that lines are kept in.
        place: The file that says how far the log has been passed on.
        emit: Takes a line without its line break.
    """

    def __init__(
        self, container: Container, log: Path, place: Path, emit: Callable[[str], None]
    ) -> None:
        self._container = container
        self._log = log
        self._place = place
        self._emit = emit
        self._stamp, self._same, self._lines = _read_place(place)

    def pass_on(self) -> None:
        """Passes on what the container has said since."""
        seconds = _seconds(self._stamp) if self._stamp else None
        again = self._same
        for stamp, line in self._read(since=seconds):
            if stamp < self._stamp:
                continue
            if stamp == self._stamp and again:
                again -= 1
                continue
            self._one(stamp, line)

    def finish(self) -> None:
        """Passes on the rest, by counting: also lines that a clock set back has misplaced."""
        for stamp, line in list(self._read(since=None))[self._lines :]:
            self._one(stamp, line)

    def _one(self, stamp: str, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(as_text(line) + "\n")
        self._emit(line)
        self._same = self._same + 1 if stamp == self._stamp else 1
        self._stamp = stamp
        self._lines += 1
        self._place.write_text(json.dumps([self._stamp, self._same, self._lines]), "utf-8")

    def _read(self, since: int | None) -> Iterator[tuple[str, str]]:
        narrowed = {} if since is None else {"since": since}
        said = self._container.logs(stdout=True, stderr=True, timestamps=True, **narrowed)
        for row in said.decode("utf-8", errors="replace").split("\n"):
            stamp, _, line = row.partition(" ")
            if stamp:
                yield stamp, line.rstrip("\r")


def _seconds(stamp: str) -> int:
    """Seconds since 1970, rounded down, of a stamp such as 2026-11-21T11:25:04.255463934Z."""
    return int(datetime.fromisoformat(stamp[:19] + "+00:00").timestamp())


def _read_place(place: Path) -> tuple[str, int, int]:
    try:
        stamp, same, lines = json.loads(place.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return "", 0, 0
    return str(stamp), int(same), int(lines)
