"""`voxmill forward RUN --to tensorboard|wandb`: a run's journal to the tools of others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.exporting.forwarders.forwarder import Forwarder
    from voxmill.runs.run import Run


class Target(StrEnum):
    """Who a journal can be passed on to."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(forward)


def forward(
    name: Annotated[str, typer.Argument(metavar="RUN", help="ID, or RECIPE/ID.")],
    to: Annotated[Target, typer.Option("--to", help="Who to.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for its files; by default VOXMILL_HOME/<target>.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on for as long as the run does.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="W&B: only files, for `wandb sync` later.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1.0, help="Time between two looks.")] = 30.0,
) -> None:
    """Passes a run's journal on to TensorBoard or Weights & Biases."""
    from voxmill.exporting.forwarders.forwarding import forward as forward_run
    from voxmill.runs.project import Project
    from voxmill.runs.run import find_run

    project = Project.find(Path.cwd(), os.environ)
    run = find_run(project, name)
    forwarder = _open(run, to, out or project.home / to.value, offline=offline)
    try:
        lines = forward_run(run, forwarder, wait=_waiting(run, seconds) if follow else _once)
    except KeyboardInterrupt:  # what came so far is sent and closed
        typer.echo("Ended; the run itself goes on.")
        return
    typer.echo(f"{lines} lines of {run.recipe}/{run.id}: {forwarder.place}")


def _open(run: Run, to: Target, folder: Path, *, offline: bool) -> Forwarder:
    from voxmill.errors import UsageError
    from voxmill.exporting.forwarders.forwarder import subject_of
    from voxmill.exporting.forwarders.tensorboard import TensorBoardForwarder
    from voxmill.exporting.forwarders.wandb import WandbForwarder, WandbOptions

    subject = subject_of(run)
    if to is Target.WANDB:
        return WandbForwarder(subject, WandbOptions(folder=folder, offline=offline), os.environ)
    if offline:
        raise UsageError("--offline: TensorBoard always takes files. Leave it out.")
    return TensorBoardForwarder(subject, folder)


def _once() -> bool:
    return False


def _waiting(run: Run, seconds: float) -> Callable[[], bool]:
    from voxmill.exporting.activity import locked_inodes
    from voxmill.exporting.run_reader import RunReader, Surroundings
    from voxmill.exporting.run_view import ENDED

    reader = RunReader(run)
    looked = False

    def wait() -> bool:
        nonlocal looked
        if looked:
            time.sleep(seconds)
        looked = True
        view = reader.view(Surroundings(locked=locked_inodes()))
        return view is not None and view.state not in ENDED

    return wait
