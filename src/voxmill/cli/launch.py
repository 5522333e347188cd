"""`voxmill launch STAGE RECIPE`: the `cmd:` of each stage in dvc.yaml."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.launchers.launcher import Launcher


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(launch)


def launch(
    stage: Annotated[str, typer.Argument(help="Name of a stage, as in dvc.yaml.")],
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    launcher: Annotated[
        str | None,
        typer.Option(help="Where it runs; else resources.launcher, VOXMILL_LAUNCHER, `process`."),
    ] = None,
) -> None:
    """Runs one stage in this checkout and puts its output in its place; `dvc repro` calls this."""
    from voxmill.launchers.catalogue import launcher_name, load_launcher
    from voxmill.launchers.outcome import failure
    from voxmill.launchers.stage_launch import launch_stage, plan_stage
    from voxmill.runs.project import Project
    from voxmill.runs.starting_point import bring_starting_point

    checkout = Path.cwd()
    bring_starting_point(checkout, recipe, stage, lambda: Project.find(checkout, os.environ))
    stage_run = plan_stage(checkout, recipe, stage)
    engine = load_launcher(launcher_name(launcher, stage_run.resources))
    _pass_stops_on(checkout, recipe, stage, engine)
    result = launch_stage(checkout, recipe, stage, engine, stage_run.attempt)
    if result.exit_code != 0:
        raise failure(stage_run, result)


def _pass_stops_on(checkout: Path, recipe: str, stage: str, launcher: Launcher) -> None:
    """Ctrl-C and SIGTERM ask the job to save and leave; a second one leaves the job to itself."""
    from voxmill.cli.console import tell
    from voxmill.launchers.stage_launch import stop_stage

    def ask(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.default_int_handler)
        tell(
            f"voxmill: {signal.Signals(number).name}: {stage} was asked to save and leave; "
            "once more leaves it to itself."
        )
        stop_stage(checkout, recipe, stage, launcher)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, ask)
