"""`voxmill exporter`: runs, machine, releases and Airflow as Prometheus metrics."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.exporting.exporter import Exporter
    from voxmill.runs.project import Project

PORT = 9345
STATSD_PORT = 9125
RETENTION_HOURS = 24.0
SWITCH_SECONDS = 0.001
"""How long a reading may keep an answer waiting before Python lets the other thread run."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(exporter)


def exporter(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where Prometheus finds /metrics.")] = PORT,
    statsd_port: Annotated[
        int, typer.Option(help="UDP port for Airflow's metrics; 0: none.")
    ] = STATSD_PORT,
    retention_hours: Annotated[
        float, typer.Option(min=0.0, help="How long a run that ended is served.")
    ] = RETENTION_HOURS,
    refresh_seconds: Annotated[float, typer.Option(min=0.1, help="How often runs are read.")] = 5.0,
    release_seconds: Annotated[
        float, typer.Option(min=1.0, help="How often the origin is asked for releases.")
    ] = 300.0,
) -> None:
    """Serves the metrics of all runs for Prometheus; ends at Ctrl-C or SIGTERM."""
    from voxmill.exporting.http_server import METRICS_PATH, serving
    from voxmill.runs.project import Project

    sys.setswitchinterval(SWITCH_SECONDS)
    # A handler that wakes a waiting thread could find that thread holding the lock it needs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        project = Project.find(Path.cwd(), os.environ)
        made = _build(project, retention_hours)
        with ExitStack() as stack:
            said = _heard(stack, made, host, statsd_port)
            made.start(refresh_seconds=refresh_seconds, release_seconds=release_seconds)
            stack.callback(made.stop)
            taken = stack.enter_context(serving(made.answer, host=host, port=port))
            typer.echo(f"Runs of {project.runs}: http://{host}:{taken}{METRICS_PATH}")
            typer.echo(said)
            while True:
                time.sleep(1.0)  # a signal just before `signal.pause` would be slept over
    except KeyboardInterrupt:
        return


def _heard(stack: ExitStack, made: Exporter, host: str, port: int) -> str:
    from voxmill.exporting.statsd_listener import listening

    if not port:
        return "Airflow's StatsD: not listened to"
    taken = stack.enter_context(listening(made.bridge.take, host=host, port=port))
    return f"Airflow's StatsD: {host}:{taken} (UDP)"


def _build(project: Project, retention_hours: float) -> Exporter:
    from voxmill.exporting.exporter import Exporter
    from voxmill.exporting.fleet import Fleet
    from voxmill.exporting.gpus import NvmlProbe
    from voxmill.exporting.releases import ReleaseReader

    places = {"home": project.home, "cache": project.cache}
    if "://" not in project.remote:
        places["remote"] = Path(project.remote)
    return Exporter(
        fleet=Fleet(runs=project.runs, retention_seconds=retention_hours * 3600.0),
        gpus=NvmlProbe(),
        places=places,
        releases=ReleaseReader(project),
        recipes=sorted(path.stem for path in (project.root / "recipes").glob("*.yaml")),
    )
