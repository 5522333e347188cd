"""How a stage's container stands and how it ended, as the engine's `inspect` tells."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from voxmill.launchers.container import LABEL
from voxmill.launchers.jobs import JobResult

if TYPE_CHECKING:
    from docker.models.containers import Container

ENDED = frozenset({"exited", "dead"})
OUT_OF_MEMORY = "out of memory"
TIMED_OUT = 124


def attempt_of(container: Container) -> int:
    """Which try started the container."""
    return int(container.labels.get(f"{LABEL}.attempt", "0"))


def belongs_to(container: Container, fingerprint: str) -> bool:
    """Whether it was started with this very recipe and these inputs."""
    return bool(container.labels.get(f"{LABEL}.fingerprint") == fingerprint)


def has_ended(container: Container) -> bool:
    """Whether the job is over; one that was created and never started is not."""
    return container.status in ENDED


def started_at(container: Container) -> datetime:
    """When the job began."""
    return _moment(_state(container)["StartedAt"])


def created_at(container: Container) -> datetime:
    """When it was made, to the microsecond."""
    stamp: str = container.attrs["Created"]
    return datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00")


def result_of(container: Container) -> JobResult:
    """How an ended container ended."""
    state = _state(container)
    code = int(state["ExitCode"])
    seconds = (_moment(state["FinishedAt"]) - started_at(container)).total_seconds()
    if state.get("OOMKilled"):
        cause = OUT_OF_MEMORY
    else:
        cause = "timed out" if code == TIMED_OUT else "exited"
    return JobResult(
        attempt=attempt_of(container), exit_code=code, cause=cause, seconds=max(0.0, seconds)
    )


def _state(container: Container) -> dict[str, Any]:
    state: dict[str, Any] = container.attrs["State"]
    return state


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp[:19] + "+00:00")
