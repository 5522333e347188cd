"""One component of Airflow as a process of ours: its session, its log, its end and its return."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from voxmill.launchers.processes import POLL_SECONDS, ProcessId, identify, session_members

SCHEDULER = "scheduler"
_AIRFLOW = (sys.executable, "-m", "airflow")
COMMANDS: dict[str, tuple[str, ...]] = {
    "api-server": (*_AIRFLOW, "api-server"),
    # Task logs are read from the disk: what would serve them by HTTP is one more process and port.
    SCHEDULER: (*_AIRFLOW, "scheduler", "--skip-serve-logs"),
    "dag-processor": (*_AIRFLOW, "dag-processor"),
    "triggerer": (*_AIRFLOW, "triggerer", "--skip-serve-logs"),
}
"""What `airflow standalone` starts as well."""

GRACE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 120.0
"""Whoever lived that long starts again without a longer pause."""
_LARGEST_LOG_BYTES = 20_000_000
_LONGEST_LINE = 400
_TROUBLE = re.compile(r'\[(error|critical) *\]|"level": *"(error|critical)"|^\w*(Error|Exception):')


class Component:
    """Starts a component, sees whether it lives, and ends it with all that it started.

    Args:
        name: What it is called, as in `COMMANDS`.
        command: What is started.
        environ: Its whole environment.
        log: The file that its output is added to.
    """

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self._command = tuple(command)
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._leader: ProcessId | None = None
        self._began = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._due = 0.0
        self._read_bytes = 0

    @property
    def leader(self) -> ProcessId | None:
        """The first process of its session; None before the first start."""
        return self._leader

    def start(self) -> None:
        """Starts it in a session of its own: Ctrl-C in the terminal is ours to pass on."""
        self._turn_log_over()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        self._leader = identify(self._process.pid)
        self._began = time.monotonic()
        self.starts += 1

    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll() if self._process else None

    def start_again(self) -> float | None:
        """Clears up after a component that has died, and starts it once its pause is over.

        Returns:
            The pause in seconds, where it begins now; None otherwise.
        """
        now = time.monotonic()
        if not self._due:
            if self._leader is not None:
                end_component(self.name, self._leader, grace_seconds=0)
            steady = now - self._began > STEADY_SECONDS
            self._pause_seconds = FIRST_PAUSE_SECONDS if steady else self._pause_seconds
            self._due = now + self._pause_seconds
            return self._pause_seconds
        if now >= self._due:
            self._due = 0.0
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self.start()
        return None

    def pass_trouble_on(self, emit: Callable[[str], None]) -> None:
        """Emits the errors among the lines that are new in the log."""
        with self.log.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            if _TROUBLE.search(line):
                emit(f"{self.name}: {line[:_LONGEST_LINE]}")

    def last_lines(self, count: int) -> str:
        """The end of its log."""
        text = self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-count:])

    def reap(self) -> None:
        """Takes note of its end, so that no zombie stays."""
        if self._process is not None:
            self._process.wait()

    def _turn_log_over(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        self._read_bytes = self.log.stat().st_size if self.log.exists() else 0


def end_component(name: str, leader: ProcessId, *, grace_seconds: float) -> None:
    """Ends a component with all that it started; jobs have sessions of their own and go on.

    The scheduler waits for its tasks when it is asked to leave, for hours if need be, and a task
    that is asked to leave stops its job. So its tasks are killed first: the scheduler then notes
    its own end in the database, and the next one starts the tasks again, which find their jobs.
    """
    if name == SCHEDULER:
        for process in session_members(leader):
            if process != leader:
                process.signal(signal.SIGKILL)
    leader.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while leader.alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    while rest := session_members(leader):
        for process in rest:
            process.signal(signal.SIGKILL)
        time.sleep(POLL_SECONDS)
