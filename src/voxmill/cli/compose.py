"""`voxmill compose …`: what docker-compose.yml needs of voxmill; people use `make up`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_compose = typer.Typer(help="For docker-compose.yml: secrets and the start of a service.")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(_compose, name="compose")


@_compose.command()
def secrets(
    folder: Annotated[Path, typer.Argument(help="Where they are kept.")] = Path("secrets"),
) -> None:
    """Makes the secrets that are not there yet."""
    from voxmill.orchestration.compose import make_secrets

    made = make_secrets(folder)
    typer.echo(f"New in {folder}: {', '.join(made)}" if made else f"{folder} has all secrets.")


@_compose.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def enter(context: typer.Context) -> None:
    """Becomes the command that follows, with its secrets; refuses a misplaced VOXMILL_HOME."""
    from voxmill.errors import UsageError
    from voxmill.orchestration.compose import entered, place_logins

    if not context.args:
        raise UsageError("No command to start: voxmill compose enter COMMAND …")
    environ = entered(os.environ)
    for name in ("AIRFLOW_HOME", "HOME"):
        if folder := environ.get(name):
            Path(folder).mkdir(parents=True, exist_ok=True)
    if "api-server" in context.args:
        place_logins(environ)
    os.execvpe(context.args[0], context.args, environ)  # noqa: S606  # a fixed command, no shell
