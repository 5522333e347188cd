"""Which command files there are; each has a `register(app)` and imports nothing heavy."""

from __future__ import annotations

import typer

from voxmill.cli import demo, graph, launch


def register(app: typer.Typer) -> None:
    """Adds every command to the app."""
    for command in (demo, graph, launch):
        command.register(app)
