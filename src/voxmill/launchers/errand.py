"""A short command in a stage's image, waited for and removed: no stage, but in need of its code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from voxmill.errors import EngineMissing
from voxmill.launchers.container import Command, creation
from voxmill.launchers.container_job import has_ended, result_of
from voxmill.launchers.engine import Engine
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.pod import PodLauncher
from voxmill.observability.log_line import as_text, pass_on
from voxmill.observability.logs import MODE_VARIABLE

POLL_SECONDS = (0.05, 1.0)
"""The first and the longest pause between two looks at the container."""


@dataclass(frozen=True, kw_only=True)
class ErrandResult:
    """How it ended."""

    exit_code: int
    said: str
    """Its standard error, as text."""


Errand = Callable[[StageRun, Command], ErrandResult]


def run_in_pod(stage_run: StageRun, command: Command) -> ErrandResult:
    """Runs a command in the pod's other container, under the paths that this one has.

    Raises:
        EngineMissing: No container takes the order.
    """
    lines: list[str] = []
    result = PodLauncher(command, emit=lambda line: lines.append(as_text(line))).run(stage_run)
    said = [line for line in lines if not line.startswith("[warden] ")]
    return ErrandResult(exit_code=result.exit_code, said="\n".join(said))


def run_in_container(stage_run: StageRun, command: Command) -> ErrandResult:
    """Runs a command in a container like a stage's, to its end; removed whatever happens here.

    Whoever calls makes sure that nobody else runs an errand of the same name; a container of that
    name is left over from a caller that was killed, and goes.

    Args:
        stage_run: Image, folders, limits and name, with the host's paths.
        command: Builds the command line from the stage with the container's paths.

    Raises:
        EngineMissing: The engine or the image is missing.
    """
    arguments = creation(stage_run, command)
    arguments["environment"] |= {MODE_VARIABLE: "text"}  # its last word is for a person
    engine = Engine(pass_on)
    container = engine.start(arguments)
    if container is None:
        left = engine.find(arguments["name"])
        if left is not None:
            engine.remove(left)
        container = engine.start(arguments)
    if container is None:
        raise EngineMissing(f"Container {arguments['name']} cannot be made: another one comes up.")
    pause = POLL_SECONDS[0]
    try:
        while not has_ended(container):
            time.sleep(pause)
            pause = min(POLL_SECONDS[1], pause * 1.3)
            engine.enduring(container.reload)
        said = engine.enduring(lambda: container.logs(stdout=False, stderr=True))
    finally:
        engine.remove(container)
    return ErrandResult(
        exit_code=result_of(container).exit_code, said=said.decode("utf-8", errors="replace")
    )
