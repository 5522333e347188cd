"""What a server's home says about who runs there, so that nobody is left behind.

The record outlives the command that wrote it: where that was killed, its components go on, and
the next start ends them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxmill.errors import UsageError
from voxmill.launchers.processes import ProcessId, identify, session_members

RECORD_FILE = "server.json"
_LOCK_FILE = "server.lock"


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """The newest server of a home, running or not."""

    url: str
    keeper: ProcessId
    """The command that watches over the components."""
    components: Mapping[str, ProcessId] = field(default_factory=dict)
    """First process of each component's session."""

    @property
    def living(self) -> dict[str, ProcessId]:
        """The components of which a process is left, be it the first one or another."""
        return {name: one for name, one in self.components.items() if session_members(one)}


def read_record(home: Path) -> ServerRecord | None:
    """The home's record; None where no server has been started there."""
    try:
        found = json.loads((home / RECORD_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    components = {name: ProcessId(*one) for name, one in found["components"].items()}
    return ServerRecord(url=found["url"], keeper=ProcessId(*found["keeper"]), components=components)


def write_record(home: Path, url: str, components: Mapping[str, ProcessId]) -> None:
    """Writes that this process keeps these components."""
    keeper = identify(os.getpid())
    if keeper is None:  # /proc shows at least ourselves
        raise RuntimeError("this process is not in /proc")
    record: dict[str, Any] = {
        "url": url,
        "keeper": _pair(keeper),
        "components": {name: _pair(one) for name, one in components.items()},
    }
    draft = home / f"{RECORD_FILE}.draft"
    draft.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    draft.replace(home / RECORD_FILE)


@contextmanager
def sole_keeper(home: Path) -> Iterator[None]:
    """One command at a time keeps a home's server; the kernel lets go of the lock with it.

    Raises:
        UsageError: Another one does.
    """
    with (home / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(_runs_already(home)) from None
        yield


def _runs_already(home: Path) -> str:
    record = read_record(home)
    who = f" (process {record.keeper.pid}, {record.url})" if record else ""
    return (
        f"Airflow runs already for {home}{who}. Use that one, end it with "
        f"`voxmill airflow --stop`, or give this one another VOXMILL_HOME."
    )


def _pair(process: ProcessId) -> list[int]:
    return [process.pid, process.start_ticks]
