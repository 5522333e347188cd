"""`voxmill watch [RUN]`: a run's live state in the terminal, from its own files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from voxmill.exporting.run_view import RunView
    from voxmill.exporting.terminal import Scene
    from voxmill.runs.project import Project
    from voxmill.runs.run import Run

LOG_LINES = 8
_LOOKED_THROUGH = 200
"""How many of the newest runs are looked through for one that goes on."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(watch)


def watch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="ID, or RECIPE/ID; by default the newest going on."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show how it stands, and leave.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time between two looks.")] = 1.0,
) -> None:
    """Shows a run while it goes on; without a terminal one plain line for each change."""
    from rich.console import Console

    from voxmill.exporting.terminal import picture
    from voxmill.runs.project import Project
    from voxmill.runs.run import find_run

    project = Project.find(Path.cwd(), os.environ)
    run = find_run(project, name) if name else _newest_going_on(project)
    look = _eyes(run)
    console = Console()
    if once:
        console.print(picture(look()))
        return
    try:
        if console.is_terminal:
            _live(console, look, seconds)
        else:
            _lines(look, seconds)
    except KeyboardInterrupt:  # the watcher leaves; the run goes on
        return


def _live(console: Console, look: Callable[[], Scene], seconds: float) -> None:
    from rich.live import Live

    from voxmill.exporting.run_view import ENDED
    from voxmill.exporting.terminal import picture

    scene = look()
    with Live(picture(scene), console=console, auto_refresh=False) as live:
        while scene.view.state not in ENDED:
            time.sleep(seconds)
            scene = look()
            live.update(picture(scene), refresh=True)


def _lines(look: Callable[[], Scene], seconds: float) -> None:
    from voxmill.exporting.run_view import ENDED
    from voxmill.exporting.terminal import change_mark, plain_line

    told: object = None
    while True:
        scene = look()
        if change_mark(scene.view) != told:
            told = change_mark(scene.view)
            typer.echo(plain_line(scene))
        if scene.view.state in ENDED:
            return
        time.sleep(seconds)


def _eyes(run: Run) -> Callable[[], Scene]:
    """Looks at a run, its log and the GPUs; raises UsageError when the run's folder has gone."""
    from dataclasses import replace

    from voxmill.errors import UsageError
    from voxmill.exporting.activity import locked_inodes
    from voxmill.exporting.gpus import NvmlProbe
    from voxmill.exporting.log_tail import last_lines
    from voxmill.exporting.run_reader import RunReader, Surroundings
    from voxmill.exporting.terminal import Scene

    reader, gpus = RunReader(run), NvmlProbe()

    def look() -> Scene:
        view = reader.view(Surroundings(locked=locked_inodes()))
        if view is None:
            raise UsageError(f"Run {run.recipe}/{run.id} is gone: {run.folder} was deleted.")
        log = _log_of(view)
        return Scene(
            view=replace(view, journal=reader.journal()),
            log=last_lines(reader.files(log[0]).log(log[1]), LOG_LINES) if log else (),
            gpus=gpus.read(),
            now=time.time(),
        )

    return look


def _log_of(view: RunView) -> tuple[str, int] | None:
    """Stage and try of the log that is of interest: of the running one, else of the last begun."""
    tried = [stage for stage in view.stages if stage.attempts and not stage.restored]
    stage = view.running_stage or (tried[-1] if tried else None)
    return None if stage is None else (stage.name, stage.attempts)


def _newest_going_on(project: Project) -> Run:
    from voxmill.errors import UsageError
    from voxmill.exporting.activity import locked_inodes
    from voxmill.exporting.run_reader import RunReader, Surroundings
    from voxmill.runs.run import list_runs

    runs = list_runs(project)
    around = Surroundings(locked=locked_inodes())
    for run in reversed(runs[-_LOOKED_THROUGH:]):
        view = RunReader(run).view(around)
        if view is not None and view.state == "running":
            return run
    newest = f"the newest one is {runs[-1].recipe}/{runs[-1].id}" if runs else "there is none yet"
    raise UsageError(f"No run goes on in {project.runs}; {newest}. `voxmill runs` lists them all.")
