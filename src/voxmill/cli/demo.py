"""`voxmill demo RECIPE`: the recipe's whole DAG in this process, from its source to a release."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from voxmill.orchestration.figures import ArtefactFigures
    from voxmill.orchestration.rehearsal import DagRunEnd
    from voxmill.runs.project import Project
    from voxmill.runs.run import Run


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")] = "digits",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a field for this run."),
    ] = None,
) -> None:
    """Runs a recipe's whole DAG here, from its source to a release, and shows what came of it."""
    from rich.console import Console

    from voxmill.cli.run import parse
    from voxmill.orchestration import airflow_home
    from voxmill.runs import dirt
    from voxmill.runs.project import Project

    console = Console()
    project = Project.find(Path.cwd(), os.environ)
    project.recipe_file(recipe)
    conf = parse(recipe, overrides or [])
    _warn_of_dirt(console, dirt.find(project.root, recipe).code)
    airflow_home.enter(_airflow_home(project), project=project.root, environ=os.environ)
    end = _rehearse(console, project, recipe, conf)
    run = _run_of(project, end)
    if end.succeeded:
        _show_release(console, project, end, run)
    else:
        _show_failure(console, end, run)
        raise typer.Exit(end.failed_task.exit_code if end.failed_task else 1)


def _airflow_home(project: Project) -> Path:
    return project.home / "airflow"


def _warn_of_dirt(console: Console, files: Sequence[str]) -> None:
    from rich.markup import escape

    if files:
        console.print(
            f"[yellow]Uncommitted code[/] goes into this run, and the run records it: "
            f"{escape(', '.join(files))}. Commit it before a release that others are to rely on.",
            soft_wrap=True,
        )


def _rehearse(console: Console, project: Project, recipe: str, conf: dict[str, Any]) -> DagRunEnd:
    from voxmill.orchestration import airflow_home, rehearsal
    from voxmill.orchestration.form import ALLOW_DIRTY

    with console.status("Starting Airflow"):
        if airflow_home.migrate(_airflow_home(project)):
            console.print(f"Made Airflow's database in {_airflow_home(project)}", soft_wrap=True)
        dag = rehearsal.load_dag(project.root / "dags", recipe)
    return rehearsal.rehearse(dag, {**conf, ALLOW_DIRTY: True})


def _run_of(project: Project, end: DagRunEnd) -> Run | None:
    """The run that the DAG opened; None where it did not come that far."""
    from voxmill.runs.run import find_run, slug

    opened = (project.runs / end.dag / slug(end.airflow_run_id)).is_dir()
    return find_run(project, f"{end.dag}/{slug(end.airflow_run_id)}") if opened else None


def _show_failure(console: Console, end: DagRunEnd, run: Run | None) -> None:
    failed = end.failed_task
    name = failed.task if failed else "the DAG run"
    reason = failed.reason if failed and failed.reason else "The reason stands in the log above."
    console.print(f"\n[red]{end.dag}: {name} failed.[/]", highlight=False)
    console.print(reason, markup=False, highlight=False, soft_wrap=True)
    if run is not None:
        console.print(f"The run: {run.folder}", markup=False, soft_wrap=True, highlight=False)
        console.print(
            f"When the cause is gone, go on where it stopped: voxmill resume {run.id}",
            highlight=False,
            soft_wrap=True,
        )


def _show_release(console: Console, project: Project, end: DagRunEnd, run: Run | None) -> None:
    from voxmill.orchestration.figures import read_figures

    if run is None:  # the DAG's success says that there is one
        raise RuntimeError(f"{end.dag}: no run of {end.airflow_run_id} on this machine")
    release = end.results["release"]
    artifacts = run.folder / "artifacts" / run.recipe
    console.print()
    console.print(_figures_table(read_figures(artifacts / "evaluate")))
    console.print(_stages_table(end))
    words = "released as" if release["fresh"] else "already released, with the same outputs, as"
    for line in (
        f"{run.recipe} is {words} {release['tag']}",
        f"report     {artifacts / 'evaluate' / 'index.html'}",
        f"artefacts  {artifacts / 'package'}",
        f"get it     {_pull_line(project, release['tag'])}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _figures_table(figures: Sequence[ArtefactFigures]) -> Table:
    from rich.table import Table

    table = Table(title="The packaged artefacts on test sets (of so many utterances)")
    for heading in ("test set", "artefact"):
        table.add_column(heading)
    for heading in ("WER (95 % interval)", "CER", "RTF", "size"):
        table.add_column(heading, justify="right")
    for one in figures:
        table.add_row(
            f"{one.test_set} ({one.utterances})",
            one.artefact,
            f"{one.word_error_rate:.2%} "
            f"({one.word_error_rate_low:.2%} - {one.word_error_rate_high:.2%})",
            f"{one.character_error_rate:.2%}",
            f"{one.real_time_factor:.4f}",
            f"{one.bytes / 1e6:.2f} MB",
        )
    return table


def _stages_table(end: DagRunEnd) -> Table:
    from rich.table import Table

    table = Table(title=f"{sum(task.seconds for task in end.tasks):.0f} s in all")
    table.add_column("task")
    table.add_column("seconds", justify="right")
    table.add_column("how")
    for task in end.tasks:
        table.add_row(task.task, f"{task.seconds:.1f}", _how(end.results.get(task.task) or {}))
    return table


def _how(result: dict[str, Any] | Any) -> str:
    """What a task did, in words; empty for a task that is no stage."""
    if "executed" not in result:
        return ""
    verdict = str(result["verdict"]).replace("_", " ")
    return verdict if result["executed"] else f"{verdict}, was there already"


def _pull_line(project: Project, tag: str) -> str:
    """One line that brings the release back in another folder."""
    folder = tag.replace("@", "-")
    steps = (
        ("git", "clone", project.origin, folder),
        ("cd", folder),
        ("git", "checkout", tag),
        ("dvc", "pull"),
    )
    return " && ".join(shlex.join(step) for step in steps)
