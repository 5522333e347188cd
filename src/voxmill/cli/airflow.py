"""`voxmill airflow`: Airflow for this checkout, on this machine alone, until Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.orchestration.server_settings import ServerOptions


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(airflow)


def airflow(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where it listens, on loopback.")
    ] = 8080,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="NAME:ROLE",
            help="One more login: viewer, user, op or admin; also VOXMILL_AIRFLOW_USERS.",
        ),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the one that runs, whoever started it.")
    ] = False,
) -> None:
    """Starts Airflow with every DAG ready to trigger; Ctrl-C ends it, jobs that run go on."""
    from voxmill.orchestration.server import Server, recipes_of
    from voxmill.orchestration.server_login import SERVER_FOLDER
    from voxmill.orchestration.server_settings import USERS_VARIABLE, read_options
    from voxmill.runs.project import Project

    project = Project.find(Path.cwd(), os.environ)
    home = project.home / SERVER_FOLDER
    if stop:
        _stop(home)
        return
    logins = ",".join([os.environ.get(USERS_VARIABLE, ""), *(users or [])])
    options = read_options(home, project.root, port=port, users=logins, environ=os.environ)
    recipes = sorted(recipes_of(project.root))
    typer.echo(f"Starting Airflow in {home}; it takes about half a minute.")
    Server(options, os.environ, _say).keep(
        lambda passwords: _welcome(options, passwords, recipes[0] if recipes else "RECIPE")
    )
    typer.echo("Airflow has ended. Jobs that ran go on; the next start finds them.")


def _stop(home: Path) -> None:
    from voxmill.orchestration import server

    ended = server.stop(home)
    typer.echo("Airflow has ended." if ended else f"No Airflow runs for {home}.")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _welcome(options: ServerOptions, passwords: Mapping[str, str], recipe: str) -> None:
    from voxmill.orchestration.server_keys import LOGINS_FILE

    typer.echo(f"\nAirflow is ready at {options.url}")
    for user, role in options.users.items():
        typer.echo(f"  log in as {user} with password {passwords[user]} (role {role})")
    typer.echo(f"  passwords are kept in {options.home / LOGINS_FILE}")
    typer.echo(f"  start a run there with Trigger, or with: voxmill trigger {recipe}")
    typer.echo(f"  logs of Airflow itself: {options.home / 'logs' / 'components'}")
    typer.echo("  end it with Ctrl-C\n")
