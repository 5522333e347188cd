"""Processes by pid and start time: a pid alone may belong to somebody else by now."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05
_STATE, _SESSION, _START_TICKS = 0, 3, 19
"""Positions in /proc/<pid>/stat, counted behind the command's name (proc(5))."""


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one with the same pid."""

    pid: int
    start_ticks: int
    """Clock ticks since boot."""

    @property
    def alive(self) -> bool:
        """True while it runs; a zombie does not."""
        fields = _stat(self.pid)
        return (
            fields is not None
            and fields[_STATE] not in "ZX"
            and int(fields[_START_TICKS]) == self.start_ticks
        )

    def signal(self, number: int) -> None:
        """Sends a signal, if the process is still the same."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now; None where there is none."""
    fields = _stat(pid)
    return ProcessId(pid, int(fields[_START_TICKS])) if fields is not None else None


def session_members(leader: ProcessId) -> list[ProcessId]:
    """The living processes of the session that `leader` opened, itself among them."""
    if (now := identify(leader.pid)) is not None and now != leader:
        return []  # the number was given away again, so the session has nobody left
    members = []
    for folder in Path("/proc").iterdir():
        fields = _stat(int(folder.name)) if folder.name.isdigit() else None
        if fields is None or int(fields[_SESSION]) != leader.pid or fields[_STATE] in "ZX":
            continue
        members.append(ProcessId(int(folder.name), int(fields[_START_TICKS])))
    return members


def end_session(leader: ProcessId, *, grace_seconds: float) -> int:
    """Ends a session: SIGTERM to its leader, after the grace SIGKILL to everybody left.

    Returns:
        How many processes were still there.
    """
    members = session_members(leader)
    leader.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while leader.alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    while rest := session_members(leader):
        for process in rest:
            process.signal(signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return len(members)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
