"""The stage command: what a process or a container runs."""

from __future__ import annotations

import sys

from voxmill.launchers.launcher import StageRun


def stage_command(stage_run: StageRun, python: str = sys.executable) -> list[str]:
    """The command line that runs the stage, by default with this very interpreter.

    `-P` keeps the current folder off the import path: a run's checkout has code of its own, which
    is not what has been installed.
    """
    inputs = [
        part
        for name, folder in sorted(stage_run.inputs.items())
        for part in ("--in", f"{name}={folder}")
    ]
    return [
        *(python, "-P", "-m", "voxmill.cli.main", "stage", stage_run.stage),
        *("--recipe", str(stage_run.recipe_file)),
        *inputs,
        *("--out", str(stage_run.out)),
        *("--work", str(stage_run.work)),
        *("--attempt", str(stage_run.attempt)),
        *_option(stage_run, "gpus"),
        *_option(stage_run, "processes"),
    ]


def _option(stage_run: StageRun, name: str) -> tuple[str, ...]:
    """What the stage is to know of its machine, where anything is asked for."""
    wanted = int(str(stage_run.resources.get(name) or 0))
    return (f"--{name}", str(wanted)) if wanted else ()
