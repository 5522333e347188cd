"""`voxmill sync RECIPE`: does the source hold anything new?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(sync)


def sync(recipe: Annotated[str, typer.Argument(help="Name of a recipe.")]) -> None:
    """Lists the recipe's source into the main branch; `voxmill run` then takes what is new."""
    from voxmill.runs.listing import sync as sync_source
    from voxmill.runs.project import Project

    project = Project.find(Path.cwd(), os.environ)
    change = sync_source(project, recipe)
    if not change.fresh:
        typer.echo(f"{recipe}: unchanged since the last listing.")
        return
    parts = (("added", change.added), ("removed", change.removed), ("changed", change.changed))
    counts = ", ".join(f"{len(files)} {word}" for word, files in parts if files)
    typer.echo(f"{recipe}: new ({counts or 'other source settings'}).")
    for word, files in parts:
        _tell(word, files)
    typer.echo(f"next    voxmill run {recipe}")


def _tell(word: str, files: Sequence[str]) -> None:
    for name in files[:_SHOWN]:
        typer.echo(f"  {word:<8} {name}")
    if len(files) > _SHOWN:
        typer.echo(f"  {word:<8} and {len(files) - _SHOWN} more")
