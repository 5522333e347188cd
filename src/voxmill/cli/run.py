"""`voxmill run RECIPE` and `voxmill resume RUN`: every stage, one after the other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from voxmill.launchers.launcher import Launcher
    from voxmill.runs.run import Run

Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")]
Force = Annotated[
    str | None,
    typer.Option(metavar="STAGE|all", help="Run it even where its result is there already."),
]
LauncherName = Annotated[
    str | None,
    typer.Option(help="Where stages run; else resources.launcher, VOXMILL_LAUNCHER, `process`."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(run)
    app.command()(resume)


def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    *,
    run_id: Annotated[
        str | None, typer.Option(help="Name of the run; by default from the time.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a field for this run."),
    ] = None,
    until: Until = None,
    force: Force = None,
    launcher: LauncherName = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Take uncommitted code along.")
    ] = False,
) -> None:
    """Opens a run, or goes on with the one of that id, and brings its stages up to date."""
    from functools import partial

    from voxmill.observability.labels import STAGES
    from voxmill.runs.lister import list_source
    from voxmill.runs.opening import RunOptions, open_run
    from voxmill.runs.project import Project

    project = Project.find(Path.cwd(), os.environ)
    project.recipe_file(recipe)
    _wanted(recipe, STAGES, until, force)  # a misspelt stage opens no run
    options = RunOptions(
        run_id=run_id, overrides=parse(recipe, overrides or []), allow_dirty=allow_dirty
    )
    lister = partial(list_source, launcher=launcher)
    _carry_out(open_run(project, recipe, options, lister), until, force, launcher)


def resume(
    name: Annotated[str, typer.Argument(metavar="RUN", help="ID, or RECIPE/ID.")],
    until: Until = None,
    force: Force = None,
    launcher: LauncherName = None,
) -> None:
    """Goes on with a run where it stopped; a job that still runs is attached to."""
    from voxmill.runs.project import Project
    from voxmill.runs.run import find_run

    _carry_out(find_run(Project.find(Path.cwd(), os.environ), name), until, force, launcher)


def parse(recipe: str, texts: Sequence[str]) -> dict[str, object]:
    """Values by `section.key`; whether the recipe takes them is said when the run is opened.

    Raises:
        RecipeError: A text has no key or no value; all such are named.
    """
    from voxmill.errors import FieldProblem, RecipeError
    from voxmill.recipe.overrides import Override, parse_override

    parsed = [parse_override(text) for text in texts]
    problems = [one for one in parsed if isinstance(one, FieldProblem)]
    if problems:
        raise RecipeError(recipe, problems)
    return {".".join(one.path): one.value for one in parsed if isinstance(one, Override)}


def _carry_out(run: Run, until: str | None, force: str | None, launcher: str | None) -> None:
    from voxmill.cli.console import open_console, tell
    from voxmill.errors import VoxmillError
    from voxmill.observability.log_context import bind_log_context
    from voxmill.runs.execution import publish_rest

    bind_log_context(recipe=run.recipe, run=run.id, log=run.log)
    console = open_console()
    console.print(f"Run {run.recipe}/{run.id} in {run.folder}", soft_wrap=True, highlight=False)
    engine = _engine(run, launcher)
    wanted = _wanted(run.recipe, list(run.stages), until, force)
    try:
        for stage in wanted:
            with _stops_passed_on(run, stage, engine):
                _bring(console, run, stage, engine, forced=force in {stage, "all"})
        publish_rest(run)
    except VoxmillError:
        tell(f"When the cause is gone, go on with: voxmill resume {run.id}")
        raise
    _show_end(console, run)


def _wanted(
    recipe: str, stages: Sequence[str], until: str | None, force: str | None
) -> Sequence[str]:
    from voxmill.errors import UsageError

    for option, value in (("--until", until), ("--force", force)):
        if value is not None and value not in {*stages, *(["all"] if option == "--force" else [])}:
            raise UsageError(
                f"{option} {value}: {recipe} has no such stage; there are: {', '.join(stages)}."
            )
    return stages[: stages.index(until) + 1] if until else stages


def _bring(console: Console, run: Run, stage: str, engine: Launcher, *, forced: bool) -> None:
    from voxmill.runs.execution import run_stage
    from voxmill.runs.state import read_state

    began = time.monotonic()
    state = run_stage(run, stage, engine, force=forced)
    seconds = time.monotonic() - began
    verdict = read_state(run.folder)[stage].verdict
    colour = {"failed": "red", "passed": "green"}.get(verdict, "dim")
    console.print(
        f"{stage:<9} {state:<9} {seconds:7.1f} s  [{colour}]{verdict.replace('_', ' ')}[/]",
        highlight=False,
    )


@contextmanager
def _stops_passed_on(run: Run, stage: str, engine: Launcher) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the job to save and leave; a second one leaves it to itself.

    Raises:
        CheckpointedAndLeft: It was asked while there was no job, so the stage has come to its end.
    """
    from voxmill.cli.console import tell
    from voxmill.errors import CheckpointedAndLeft
    from voxmill.runs.execution import stop_stage

    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        tell(
            f"voxmill: {signal.Signals(number).name}: {stage} was asked to save and leave; once "
            f"more leaves it to itself (voxmill resume {run.id} attaches to it)."
        )
        stop_stage(run, stage, engine)

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
        if asked:
            raise CheckpointedAndLeft(f"Stopped after {stage}, as asked.")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _engine(run: Run, asked: str | None) -> Launcher:
    from voxmill.launchers.catalogue import launcher_name, load_launcher
    from voxmill.pipeline.recipe_file import read_recipe_file

    resources = read_recipe_file(run.recipe_file).get("resources") or {}
    return load_launcher(launcher_name(asked, resources))


def _show_end(console: Console, run: Run) -> None:
    from voxmill.cli.show import figures_table
    from voxmill.runs.state import DONE, read_state

    state = read_state(run.folder)
    table = figures_table(run)
    if table is not None:
        console.print(table)
    report = run.output("evaluate") / "index.html"
    if report.is_file():
        console.print(f"report  {report}", soft_wrap=True, highlight=False)
    failed = [stage for stage, record in state.items() if record.verdict == "failed"]
    done = all(stage in state and state[stage].outcome in DONE for stage in run.stages)
    if failed:
        steps = f"voxmill show {run.id}   (failed checks: {', '.join(failed)})"
    elif done:
        steps = f"voxmill release {run.id}"
    else:
        steps = f"voxmill resume {run.id}"
    console.print(f"next    {steps}", soft_wrap=True, highlight=False)
