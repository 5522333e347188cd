"""The launcher `pod`: a stage is a job in the other container of this very pod.

On Kubernetes a task of Airflow is a pod with two containers. The worker's has DVC, git and their
credentials; the stage's has the workshop, the GPUs and nothing else. They share one volume, under
the same path, and nothing but files passes between them: the worker leaves an order, and
`pod_keeper` in the stage's container lets a warden keep the job, as on any machine. Neither sees
the other's processes, so that a job lives as long as its warden's lock is held.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxmill.errors import EngineMissing
from voxmill.launchers.container import container_command, container_environment
from voxmill.launchers.jobs import JobFiles, JobRecord
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher

FOLDER_VARIABLE = "VOXMILL_POD"
"""Where orders lie: a folder of the volume that both containers have."""
DEFAULT_FOLDER = "/voxmill/pod"
START_SECONDS = 120.0
"""How long the stage's container may take: its image may still be on its way."""


class PodLauncher(ProcessLauncher):
    """Runs stages in the pod's other container.

    Args:
        command: Builds the command line of a stage.
        emit: Takes each line of the job's log; by default standard output does,
            in the form of this process's own log.
        folder: Where orders are left; by default as `VOXMILL_POD` says.
    """

    name = "pod"

    def __init__(
        self,
        command: Callable[[StageRun], list[str]] = container_command,
        *,
        emit: Callable[[str], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        place = folder or Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
        super().__init__(
            command, environment=container_environment, emit=emit, wardens=PodWardens(place)
        )


class PodWardens:
    """Wardens that live in the stage's container, known by the locks that they hold.

    Args:
        folder: Where orders are left.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def admit(self, stage_run: StageRun) -> None:
        """Leaves GPUs to Kubernetes, which put this pod where they are."""

    def start(self, orders: dict[str, Any], lock: int, files: JobFiles) -> None:
        """Leaves an order and waits until it is carried out; see the port."""
        record = orders["record"]
        order = self._folder / f"{record['run']}-{record['stage']}-{record['attempt']}.order.json"
        refusal = order.with_suffix(".refused")
        refusal.unlink(missing_ok=True)
        fcntl.flock(lock, fcntl.LOCK_UN)  # the warden is to have it
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = order.with_suffix(".draft")
        draft.write_text(json.dumps({"work": str(files.folder.parent), **orders}), "utf-8")
        draft.rename(order)
        deadline = time.monotonic() + START_SECONDS
        while (found := files.record()) is None or found.started != record["started"]:
            if refusal.is_file():
                number, _, words = refusal.read_text("utf-8").partition(" ")
                raise OSError(int(number), words)
            if time.monotonic() > deadline:
                order.unlink(missing_ok=True)
                raise EngineMissing(_nobody_there(self._folder))
            time.sleep(0.05)

    def alive(self, record: JobRecord, files: JobFiles) -> bool:
        """Tries the lock; see the port."""
        del record
        with files.locked() as lock:
            return lock is None

    def ask_to_stop(self, record: JobRecord, files: JobFiles, grace_seconds: float) -> None:
        """Leaves a word that the keeper looks for; see the port."""
        del record
        files.stop.write_text(f"{grace_seconds}\n", "utf-8")

    def end(self, record: JobRecord) -> None:
        """Does nothing: a job whose warden is gone has gone with its container."""


def _nobody_there(folder: Path) -> str:
    return (
        f"Nobody takes the order for a job in {folder} within {START_SECONDS:.0f} s: the pod has "
        f"no container `stage`, or its image cannot be pulled. `kubectl describe pod` says why; "
        f"docs/operations.md says what a pod needs. Elsewhere choose --launcher process."
    )
