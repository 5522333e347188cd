"""Stops a container and, where nobody follows it any more, keeps its result and removes it.

A process of its own session, started by `DockerLauncher.stop`: Airflow gives the process that asks
five seconds to live, and a checkpoint may take minutes.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from voxmill.launchers.container_job import attempt_of, created_at, result_of
from voxmill.launchers.container_log import ContainerLog
from voxmill.launchers.engine import connect
from voxmill.launchers.jobs import JobFiles

FOLLOWER_SECONDS = 15.0
"""How long a launcher that still follows has to take the result itself."""
SPARE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class StopOrder:
    """Which container is meant, and how much time it has."""

    container: str
    """Its name."""
    given: float
    """When the order was given, in seconds since 1970: a container that is younger is a later
    try's, and none of this order's business."""
    stage: str
    work: Path
    """The stage's work folder."""
    grace_seconds: float
    """Time between SIGTERM and SIGKILL."""

    def start(self) -> None:
        """Lets a process of its own session carry the order out."""
        log = JobFiles(self.work, self.stage).folder / f"{self.stage}.reaper.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        values = {**asdict(self), "work": str(self.work)}
        with log.open("ab") as output:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "voxmill.launchers.reaper", json.dumps(values)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def carry_out(order: StopOrder) -> None:
    """Asks, waits, kills, keeps, removes."""
    from docker.errors import NotFound

    client = connect(timeout_seconds=order.grace_seconds + SPARE_SECONDS)
    try:
        container = client.containers.get(order.container)
        if created_at(container).timestamp() > order.given:
            return
        container.stop(timeout=math.ceil(order.grace_seconds))
        deadline = time.monotonic() + FOLLOWER_SECONDS
        while time.monotonic() < deadline:
            container.reload()
            time.sleep(0.2)
        files = JobFiles(order.work, order.stage)
        attempt = attempt_of(container)
        ContainerLog(container, files.log(attempt), files.offset(attempt), _silent).finish()
        files.keep(result_of(container))
        container.remove()
    except NotFound:
        return  # whoever followed it has taken it


def _silent(_line: str) -> None:
    return


if __name__ == "__main__":
    _values = json.loads(sys.argv[1])
    carry_out(StopOrder(**{**_values, "work": Path(_values["work"])}))
