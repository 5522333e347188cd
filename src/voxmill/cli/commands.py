"""Which command files there are; each has a `register(app)` and imports nothing heavy."""

from __future__ import annotations

import typer

from voxmill.cli import (
    airflow,
    compose,
    demo,
    docker_proxy,
    doctor,
    dvc,
    exporter,
    forward,
    grafana,
    graph,
    kubernetes,
    launch,
    monitoring,
    recipe,
    release,
    run,
    show,
    stage,
    sync,
    trigger,
    watch,
)


def register(app: typer.Typer) -> None:
    """Adds every command to the app."""
    office = (
        run,
        show,
        release,
        sync,
        airflow,
        trigger,
        launch,
        graph,
        grafana,
        doctor,
        demo,
        dvc,
        docker_proxy,
        compose,
        kubernetes,
    )
    watchers = (exporter, monitoring, watch, forward)
    for command in (*office, *watchers, recipe, stage):
        command.register(app)
