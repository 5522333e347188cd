"""Where the wardens of jobs live: in processes of this machine, or in the pod's other container."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from voxmill.errors import EngineMissing
from voxmill.launchers.gpus import require_gpus
from voxmill.launchers.jobs import JobFiles, JobRecord
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.processes import end_session

WARDEN = Path(__file__).with_name("warden.py")


class Wardens(Protocol):
    """Starts, watches and ends the wardens that keep jobs."""

    def admit(self, stage_run: StageRun) -> None:
        """Lets a stage start only where it can run.

        Raises:
            EngineMissing: What it needs is not here.
        """

    def start(self, orders: dict[str, Any], lock: int, files: JobFiles) -> None:
        """Starts a warden, which then holds the lock; returns when its job file is written.

        Raises:
            EngineMissing: No warden could be started.
            OSError: The disk is full.
        """

    def alive(self, record: JobRecord, files: JobFiles) -> bool:
        """Whether the job's warden still keeps it."""

    def ask_to_stop(self, record: JobRecord, files: JobFiles, grace_seconds: float) -> None:
        """Makes the warden ask its job to save and leave."""

    def end(self, record: JobRecord) -> None:
        """Ends what is left of a job whose warden was killed."""


class LocalWardens:
    """Wardens that are processes of this machine, found by pid and start time."""

    def admit(self, stage_run: StageRun) -> None:
        """Looks for GPUs; see the port."""
        require_gpus(stage_run)

    def start(self, orders: dict[str, Any], lock: int, files: JobFiles) -> None:
        """Starts one; see the port."""
        del files
        start_warden(orders, lock)

    def alive(self, record: JobRecord, files: JobFiles) -> bool:
        """Looks for the process; see the port."""
        del files
        return record.warden.alive

    def ask_to_stop(self, record: JobRecord, files: JobFiles, grace_seconds: float) -> None:
        """Sends SIGTERM; see the port."""
        files.stop.write_text(f"{grace_seconds}\n", "utf-8")
        record.warden.signal(signal.SIGTERM)

    def end(self, record: JobRecord) -> None:
        """Ends the job's session; see the port."""
        end_session(record.child, grace_seconds=record.grace_seconds)


def start_warden(orders: dict[str, Any], lock: int) -> None:
    """Starts a warden as a process of this machine, and hands it the lock.

    Raises:
        EngineMissing: It did not start.
        OSError: As it met it itself, such as a full disk.
    """
    started = subprocess.run(
        [sys.executable, "-I", "-S", str(WARDEN)],
        input=json.dumps({**orders, "lock_fd": lock}),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        pass_fds=[lock],
        # A Python that is found through LD_LIBRARY_PATH needs it to start; nothing else is wanted.
        env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
    )
    if started.returncode != 0:
        complaint = started.stderr.strip()
        number = complaint.partition(" ")[0]
        if number.isdigit():
            raise OSError(int(number), complaint)
        raise EngineMissing(f"The job's warden did not start: {complaint or 'it was killed'}.")
