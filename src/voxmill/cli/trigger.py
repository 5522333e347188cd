"""`voxmill trigger RECIPE`: starts a run on Airflow, as the form in its UI does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.orchestration.airflow_answers import DagRunState
    from voxmill.orchestration.airflow_api import AirflowApi
    from voxmill.runs.project import Project


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(trigger)


def trigger(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a field for this run."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end, and end as it ends.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="Where Airflow is; else VOXMILL_AIRFLOW_URL, this machine's own."),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option(help="Id of the DAG run; by default from the time.")
    ] = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Take uncommitted code along.")
    ] = False,
    unpause: Annotated[
        bool, typer.Option("--unpause", help="Switch a paused DAG on, too.")
    ] = False,
) -> None:
    """Starts a run of a recipe on Airflow: the one of `voxmill airflow`, or another."""
    from voxmill.cli.run import parse
    from voxmill.orchestration.server_login import SERVER_FOLDER, connect
    from voxmill.orchestration.triggering import start_run
    from voxmill.runs.project import Project

    project = Project.find(Path.cwd(), os.environ)
    conf = parse(recipe, overrides or [])
    login = connect(project.home / SERVER_FOLDER, url=url)
    if login.own:  # it runs this very checkout, so what it would refuse is known here
        _refuse_what_it_would(project, recipe, overrides or [], allow_dirty=allow_dirty)
    api = login.api()
    dirty = _dirty_too() if allow_dirty else {}
    run = start_run(api, recipe, {**conf, **dirty}, run_id=run_id, unpause=unpause)
    typer.echo(f"Started {recipe}, DAG run {run.id}\n{api.page(recipe, run.id)}")
    if wait:
        _follow(api, run)


def _refuse_what_it_would(
    project: Project, recipe: str, overrides: Sequence[str], *, allow_dirty: bool
) -> None:
    from voxmill.errors import UsageError
    from voxmill.recipe.reading import read_recipe
    from voxmill.runs import dirt

    read_recipe(project.recipe_file(recipe), overrides)
    uncommitted = dirt.find(project.root, recipe).code
    if uncommitted and not allow_dirty:
        raise UsageError(dirt.refusal(uncommitted))


def _dirty_too() -> dict[str, bool]:
    from voxmill.orchestration.form import ALLOW_DIRTY  # brings Airflow in

    return {ALLOW_DIRTY: True}


def _follow(api: AirflowApi, run: DagRunState) -> None:
    from voxmill.orchestration.triggering import Follower

    try:
        end = Follower(api, run, typer.echo).follow()
    except KeyboardInterrupt:
        typer.echo("The run goes on without being followed.", err=True)
        raise
    if end.exit_code == 0:
        typer.echo(f"{run.dag}: {end.state}")
        return
    typer.echo(f"voxmill: {run.dag}: {end.task or 'the DAG run'} failed. {end.reason}", err=True)
    raise typer.Exit(end.exit_code)
