"""Which GPUs of this machine a stage's container gets, where the site has named them.

Docker's `count` always begins with the first GPU, so that two runs at once would share it. With
`VOXMILL_GPUS` a container gets devices by name, and bears them in a label: the containers are the
register, and nothing has to be given back. Two launchers at the same moment both create their
container first and look then; the older container keeps what both have chosen.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from voxmill.errors import CheckpointedAndLeft, EngineMissing, UsageError
from voxmill.launchers.container import GPUS_LABEL
from voxmill.launchers.container_job import created_at, has_ended

if TYPE_CHECKING:
    from docker.models.containers import Container

    from voxmill.launchers.engine import Engine

T = TypeVar("T")

VARIABLE = "VOXMILL_GPUS"
PATIENCE_SECONDS = 600.0
"""How long taken GPUs are waited for: a stage that was stopped keeps its own while it saves."""
POLL_SECONDS = 1.0
_UNSTARTED = timedelta(seconds=60)
"""A container that was created longer ago and has not started is nobody's any more."""
_DEVICE = re.compile(r"\d+|(GPU|MIG)-[0-9A-Za-z/-]+")


class GpusTaken(EngineMissing):
    """Other stages have the GPUs; later they may be free."""


@dataclass(frozen=True, kw_only=True, order=True)
class Claim:
    """What one container has; of two with a GPU in common the lesser, that is the older, keeps."""

    since: datetime
    container: str
    """Its id."""
    name: str
    devices: tuple[str, ...]


def named_gpus(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The GPUs that `VOXMILL_GPUS` names, such as `0,1`; empty: the engine chooses.

    Args:
        environ: Environment variables; by default this process's own.

    Raises:
        UsageError: A name is no index and no UUID, or stands twice.
    """
    told = (os.environ if environ is None else environ).get(VARIABLE, "")
    names = tuple(name.strip() for name in told.split(",") if name.strip())
    wrong = [name for name in names if not _DEVICE.fullmatch(name) or names.count(name) > 1]
    if wrong:
        raise UsageError(
            f"{VARIABLE}={told!r}: {', '.join(dict.fromkeys(wrong))}: expected each GPU once, by "
            f"its index or UUID as `nvidia-smi -L` shows them, such as 0,1."
        )
    return names


def chosen_gpus(wanted: int, named: Sequence[str], claims: Iterable[Claim]) -> tuple[str, ...]:
    """The first GPUs that nobody has.

    Args:
        wanted: How many.
        named: Those that there are.
        claims: What other containers have.

    Raises:
        EngineMissing: There are not so many.
        GpusTaken: There are, but others have them.
    """
    if wanted > len(named):
        raise EngineMissing(
            f"The stage asks for {wanted} GPU(s); {VARIABLE} names {len(named)} on this machine "
            f"({', '.join(named)}). Lower resources.gpus in the recipe, name more, or run it on "
            f"another machine."
        )
    holders = {device: claim.name for claim in claims for device in claim.devices}
    free = [device for device in named if device not in holders]
    if wanted > len(free):
        taken = ", ".join(f"{each} by {holders[each]}" for each in named if each in holders)
        raise GpusTaken(
            f"The stage asks for {wanted} of the GPUs {', '.join(named)}; taken: {taken}. Wait for "
            f"those stages, or stop one (`docker stop -t 300 NAME`: it checkpoints and leaves)."
        )
    return tuple(free[:wanted])


def start_on_gpus(engine: Engine, arguments: dict[str, Any], wanted: int) -> Container | None:
    """Starts a container on GPUs that no other stage has; None where one of its name is there.

    Args:
        engine: Where to.
        arguments: Those of `container.creation`.
        wanted: How many GPUs.

    Raises:
        GpusTaken: All are in use.
        EngineMissing: As the engine's `start`; or there are not so many GPUs.
        UsageError: `VOXMILL_GPUS` is wrong.
    """
    named = named_gpus()
    if not wanted or not named:
        return engine.start(arguments)
    chosen = chosen_gpus(wanted, named, _claims(engine))
    container = engine.create(_on(chosen, arguments))
    if container is None:
        return None
    mine = _claim(container)
    try:
        # What is younger than this container will see it in its turn, and give way.
        chosen_gpus(wanted, chosen, [claim for claim in _claims(engine) if claim < mine])
    except GpusTaken:
        engine.remove(container)
        raise
    return engine.launch(container)


def when_free(
    start: Callable[[], T],
    emit: Callable[[str], None],
    *,
    stopped: Callable[[], bool],
    patience_seconds: float = PATIENCE_SECONDS,
) -> T:
    """Starts as soon as there are GPUs.

    Args:
        start: Raises `GpusTaken` while there are none.
        emit: Takes a line for the stage's log.
        stopped: Whether somebody has asked the stage to leave.
        patience_seconds: How long to wait.

    Raises:
        GpusTaken: They stayed with others.
        CheckpointedAndLeft: Asked to stop before anything had started.
    """
    deadline = time.monotonic() + patience_seconds
    told = False
    while True:
        try:
            return start()
        except GpusTaken as taken:
            if time.monotonic() > deadline:
                raise
            if stopped():
                raise CheckpointedAndLeft("Stopped while waiting for GPUs.") from taken
            if not told:
                emit(f"waiting for GPUs, {patience_seconds:.0f} s at most. {taken}")
            told = True
            time.sleep(POLL_SECONDS)


def _on(devices: Sequence[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    from docker.types import DeviceRequest

    request = DeviceRequest(device_ids=list(devices), capabilities=[["gpu"]])
    labels = {**arguments["labels"], GPUS_LABEL: ",".join(devices)}
    return {**arguments, "device_requests": [request], "labels": labels}


def _claims(engine: Engine) -> list[Claim]:
    unstarted = datetime.now(UTC) - _UNSTARTED
    return [
        _claim(container)
        for container in engine.labelled(GPUS_LABEL)
        if not has_ended(container)
        and not (container.status == "created" and created_at(container) < unstarted)
    ]


def _claim(container: Container) -> Claim:
    return Claim(
        since=created_at(container),
        container=container.id,
        name=container.name,
        devices=tuple(container.labels[GPUS_LABEL].split(",")),
    )
