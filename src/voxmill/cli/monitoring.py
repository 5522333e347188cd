"""`voxmill monitoring`: Prometheus, Alertmanager and the exporter on this machine's loopback."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(monitoring)


def monitoring(
    webhook_file: Annotated[
        Path | None,
        typer.Option(help="File with the URL that alerts are sent to; without: only shown."),
    ] = None,
    exporter_port: Annotated[int, typer.Option(min=1, max=65535)] = 9345,
    statsd_port: Annotated[
        int, typer.Option(min=0, max=65535, help="UDP port for Airflow's metrics; 0: none.")
    ] = 9125,
    prometheus_port: Annotated[int, typer.Option(min=1, max=65535)] = 9090,
    alertmanager_port: Annotated[int, typer.Option(min=1, max=65535)] = 9093,
) -> None:
    """Starts exporter, Prometheus and Alertmanager; Ctrl-C ends all three."""
    from voxmill.exporting.monitor_setup import MonitorOptions, Ports, read_webhook
    from voxmill.exporting.monitors import Monitors, exporter_command
    from voxmill.runs.project import Project

    project = Project.find(Path.cwd(), os.environ)
    options = MonitorOptions(
        configuration=project.root / "monitoring",
        state=project.home / "monitoring",
        exporter_command=exporter_command(exporter_port, statsd_port),
        exporter_folder=project.root,
        ports=Ports(
            exporter=exporter_port, prometheus=prometheus_port, alertmanager=alertmanager_port
        ),
        webhook=read_webhook(webhook_file) if webhook_file else None,
    )
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with Monitors(options) as monitors:
            for name, url in monitors.urls.items():
                typer.echo(f"{name:<13} {url}")
            typer.echo(f"{'data, logs':<13} {options.state}")
            if options.webhook is None:
                typer.echo("Alerts are shown there and sent nowhere: --webhook-file sends them.")
            typer.echo("Ctrl-C ends all three.")
            monitors.keep()
    except KeyboardInterrupt:
        typer.echo("Ended.")


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
