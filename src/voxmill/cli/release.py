"""`voxmill release`, `rollback` and `waive`: what a person decides about a finished run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.runs.project import Project

RunName = Annotated[str, typer.Argument(metavar="RUN", help="ID, or RECIPE/ID.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(waive)
    app.command()(release)
    app.command()(rollback)


def waive(
    name: RunName,
    check: Annotated[str, typer.Argument(help="Name of the failed check, with its stage.")],
    why: Annotated[str, typer.Option(help="What makes this acceptable.")] = "",
) -> None:
    """Lets a failed check of one run not stand in the way; the reason stays in memory."""
    from voxmill.runs.run import find_run
    from voxmill.runs.waiver import waive as waive_check

    run = find_run(_project(), name)
    typer.echo(f"{waive_check(run, check, why)} of {run.recipe}/{run.id} is waived.")


def release(
    name: RunName,
    version: Annotated[
        str | None, typer.Option(help="Such as v1.0.0; by default the next patch version.")
    ] = None,
) -> None:
    """Makes a finished run a version that comes back byte for byte, and the champion."""
    from voxmill.runs.release import release as release_run
    from voxmill.runs.run import find_run

    project = _project()
    run = find_run(project, name)
    made = release_run(project, run, version)
    words = "is" if made.fresh else "is already released, with the same outputs, as"
    typer.echo(f"{run.recipe}/{run.id} {words} {made.tag} (commit {made.commit[:10]}).")
    typer.echo(f"get it  {_pull_line(project, made.tag)}")


def rollback(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    version: Annotated[str, typer.Argument(help="A released version, such as v0.1.0.")],
) -> None:
    """Makes an earlier version the champion again; no version goes."""
    from voxmill.runs.release import rollback as roll_back

    project = _project()
    back = roll_back(project, recipe, version)
    typer.echo(f"{back.tag} is the champion again (commit {back.commit[:10]}).")
    typer.echo(f"get it  {_pull_line(project, back.tag)}")


def _project() -> Project:
    from voxmill.runs.project import Project

    return Project.find(Path.cwd(), os.environ)


def _pull_line(project: Project, tag: str) -> str:
    import shlex

    folder = shlex.quote(tag.replace("@", "-"))
    clone = f"git clone {shlex.quote(project.origin)} {folder}"
    return f"{clone} && cd {folder} && git checkout {tag} && dvc pull"
