"""What the stage's container of a pod runs: starts the jobs that the worker's container orders.

    python3 -P -m voxmill.launchers.pod_keeper FOLDER

It knows nothing of Kubernetes, Airflow or DVC. On SIGTERM, which comes when the worker's container
has ended or the pod is deleted, it asks what runs to save and leave, and ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from voxmill.launchers.jobs import JobFiles
from voxmill.launchers.wardens import start_warden

POLL_SECONDS = 0.1
LOCK_SECONDS = 20.0
_OWN = ("PATH", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")
"""Variables that only this container knows; the rest of a job's environment is in its order."""


class Keeper:
    """Takes orders from a folder.

    Args:
        folder: Where they are left.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._leaving = False
        self._jobs: dict[Path, JobFiles] = {}
        self._asked: set[Path] = set()

    def leave(self, _number: int, _frame: FrameType | None) -> None:
        """Takes no more orders; `keep` returns when the last job has ended."""
        self._leaving = True

    def keep(self) -> None:
        """Carries out orders until it is to leave and nothing runs any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        while not (self._leaving and not self._jobs):
            _bury_children()
            if not self._leaving:
                for order in sorted(self._folder.glob("*.order.json")):
                    self._take(order)
            self._jobs = {path: job for path, job in self._jobs.items() if _is_kept(job)}
            for path, job in self._jobs.items():
                self._pass_on_a_stop(path, job)
            time.sleep(POLL_SECONDS)

    def _take(self, order: Path) -> None:
        orders: dict[str, Any] = json.loads(order.read_bytes())
        files = JobFiles(Path(orders.pop("work")), orders["record"]["stage"])
        orders["env"] |= {name: os.environ[name] for name in _OWN if name in os.environ}
        try:
            _start(orders, files)
        except OSError as error:
            refusal = order.with_suffix(".refused")
            refusal.with_suffix(".draft").write_text(f"{error.errno} {error.strerror}", "utf-8")
            refusal.with_suffix(".draft").rename(refusal)
        else:
            self._jobs[files.job] = files
            self._asked.discard(files.job)
        order.unlink(missing_ok=True)

    def _pass_on_a_stop(self, path: Path, job: JobFiles) -> None:
        if path in self._asked or not (self._leaving or job.stop.exists()):
            return
        record = job.record()
        if record is not None:
            record.warden.signal(signal.SIGTERM)
            self._asked.add(path)


def _start(orders: dict[str, Any], files: JobFiles) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with files.locked() as lock:
            if lock is not None:
                return start_warden(orders, lock)
        if time.monotonic() > deadline:
            raise BlockingIOError(11, f"{files.folder} is held by another job")
        time.sleep(POLL_SECONDS)


def _is_kept(job: JobFiles) -> bool:
    with job.locked() as lock:
        return lock is None


def _bury_children() -> None:
    """As the container's first process it inherits wardens and whatever jobs leave behind."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def main() -> None:
    """Keeps jobs until SIGTERM."""
    keeper = Keeper(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, keeper.leave)
    signal.signal(signal.SIGINT, keeper.leave)
    keeper.keep()


if __name__ == "__main__":
    main()
