"""Which command files there are; each has a `register(app)` and imports nothing heavy."""

from __future__ import annotations

import typer

from voxmill.cli import (
    airflow,
    demo,
    doctor,
    graph,
    launch,
    recipe,
    release,
    run,
    show,
    stage,
    sync,
)


def register(app: typer.Typer) -> None:
    """Adds every command to the app."""
    for command in (run, show, release, sync, recipe, stage, launch, graph, doctor, demo, airflow):
        command.register(app)
