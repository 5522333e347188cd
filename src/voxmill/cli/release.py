"""`voxmill release`, `rollback` and `waive`: what a person decides about a finished run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.runs.project import Project
    from voxmill.runs.run import Run

RunName = Annotated[str, typer.Argument(metavar="RUN", help="ID, or RECIPE/ID.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(waive)
    app.command()(release)
    app.command()(rollback)


def waive(
    name: RunName,
    checks: Annotated[
        list[str],
        typer.Argument(metavar="CHECK...", help="Names of failed checks, with their stage."),
    ],
    why: Annotated[str, typer.Option(help="What makes this acceptable.")] = "",
) -> None:
    """Lets failed checks of one run not stand in the way; the reason stays in memory."""
    from voxmill.runs.run import find_run
    from voxmill.runs.waiver import waive_all

    run = find_run(_project(), name)
    for check in waive_all(run, checks, why):
        typer.echo(f"{check} of {run.recipe}/{run.id} is waived.")


def release(
    name: RunName,
    version: Annotated[
        str | None, typer.Option(help="Such as v1.0.0; by default the next patch version.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what it would be, beside the champion.")
    ] = False,
) -> None:
    """Makes a finished run a version that comes back byte for byte, and the champion."""
    from voxmill.runs.opening import user_name
    from voxmill.runs.release import release as release_run
    from voxmill.runs.run import find_run

    project = _project()
    run = find_run(project, name)
    if dry_run:
        _show_preview(project, run)
        return
    made = release_run(project, run, version, approved_by=user_name(project.root))
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


def _show_preview(project: Project, run: Run) -> None:
    from rich.console import Console

    from voxmill.cli.show import artefacts_table
    from voxmill.orchestration.figures import parse_figures
    from voxmill.runs.preview import preview

    found = preview(project, run)
    console = Console()
    if found.unchanged:
        typer.echo(f"{run.recipe}/{run.id} is already released as {found.version}.")
        return
    typer.echo(f"{run.recipe}/{run.id} would become {run.recipe}@{found.version}.")
    console.print(artefacts_table(parse_figures(found.figures), f"This run ({found.version})"))
    if found.champion:
        figures = parse_figures(found.champion_figures)
        console.print(artefacts_table(figures, f"The champion ({found.champion})"))
    for waiver in found.waivers:
        typer.echo(f"waived: {waiver.check} by {waiver.who}: {waiver.why}")


def _project() -> Project:
    from voxmill.runs.project import Project

    return Project.find(Path.cwd(), os.environ)


def _pull_line(project: Project, tag: str) -> str:
    import shlex

    folder = shlex.quote(tag.replace("@", "-"))
    clone = f"git clone {shlex.quote(project.origin)} {folder}"
    return f"{clone} && cd {folder} && git checkout {tag} && dvc pull"
