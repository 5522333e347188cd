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
    gpu_check,
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
    transcribe,
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
    watchers = (exporter, monitoring, watch, forward, gpu_check)
    for command in (*office, *watchers, recipe, stage, transcribe):
        command.register(app)
