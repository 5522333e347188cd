"""`voxmill grafana`: dashboards from code to files, and to and from a Grafana server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voxmill.exporting.grafana.push import Step
    from voxmill.exporting.grafana.server import Server
    from voxmill.exporting.grafana.wanted import Wanted

DASHBOARDS = Path("monitoring/grafana/dashboards")
"""Where Grafana's provisioning finds the dashboards."""
_MOST_LINES = 40
_COLOURS = {
    "same": "green",
    "missing": "cyan",
    "outdated": "cyan",
    "changed by hand": "red",
    "provisioned by file": "yellow",
    "not in this version of Grafana": "yellow",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        name="grafana",
        help="Dashboards as files and on a Grafana server (GRAFANA_URL, GRAFANA_TOKEN).",
        rich_markup_mode=None,
    )
    for command in (build, push, diff, backup):
        group.command()(command)
    app.add_typer(group)


def build(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 64 where a file is stale.")
    ] = False,
) -> None:
    """Writes the dashboards that Grafana reads from files."""
    from voxmill.errors import UsageError
    from voxmill.exporting.dashboards.catalogue import dashboard_texts

    texts = dashboard_texts()
    stale = stale_files(Path.cwd() / DASHBOARDS, texts)
    if check and stale:
        raise UsageError(
            f"{', '.join(str(DASHBOARDS / name) for name in stale)}: not fresh. Run "
            "`make dashboards` and commit the result."
        )
    for name in stale:
        path = DASHBOARDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in texts:
            path.write_text(texts[name], "utf-8")
        else:
            path.unlink()
        typer.echo(f"{'Written' if name in texts else 'Removed'}: {path}")


def stale_files(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Names of the files that are missing, differ, or should not be there."""
    found = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}
    return [name for name in {**texts, **found} if found.get(name) != texts.get(name)]


def push(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what people changed by hand.")
    ] = False,
) -> None:
    """Brings folder, datasource, contact point and dashboards to the server."""
    from voxmill.exporting.grafana.push import PushOptions
    from voxmill.exporting.grafana.push import push as push_all

    server, wanted = _connected()
    typer.echo(f"Grafana {server.version()} at {server.url}{': dry run' if dry_run else ''}")
    push_all(server, wanted, PushOptions(dry_run=dry_run, force=force), _tell)


def diff() -> None:
    """Shows what differs between the server and the code, and who changed it."""
    from rich.console import Console

    from voxmill.exporting.grafana.comparison import compare

    server, wanted = _connected()
    console = Console(highlight=False)
    console.print(f"Grafana {server.version()} at {server.url}", markup=False)
    for thing in compare(server, wanted):
        colour = _COLOURS[thing.standing]
        console.print(f"[{colour}]{thing.standing:<16}[/] {thing.kind} {thing.title}")
        for line in thing.difference[:_MOST_LINES]:
            console.print(f"    {line}", markup=False, soft_wrap=True)
        more = len(thing.difference) - _MOST_LINES
        if more > 0:
            console.print(f"    ... and {more} lines more", markup=False)


def backup(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to; by default grafana-backup-<time>.")
    ] = None,
) -> None:
    """Copies dashboards, folders, datasources and contact points into a folder."""
    from voxmill.exporting.grafana.backup import back_up
    from voxmill.exporting.grafana.server import Server
    from voxmill.exporting.grafana.settings import GrafanaSettings

    place = folder or Path(f"grafana-backup-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    done = back_up(Server(GrafanaSettings.read(os.environ)), place)
    noun = "dashboard" if done.dashboards == 1 else "dashboards"
    typer.echo(f"{done.dashboards} {noun}, folders, datasources, contact points: {done.folder}")
    for reason in done.left_out:
        typer.echo(f"left out: {reason}")


def _connected() -> tuple[Server, Wanted]:
    from voxmill.exporting.dashboards.catalogue import dashboard_texts
    from voxmill.exporting.grafana.server import Server
    from voxmill.exporting.grafana.settings import GrafanaSettings
    from voxmill.exporting.grafana.wanted import wanted_on

    settings = GrafanaSettings.read(os.environ)
    return Server(settings), wanted_on(settings, dashboard_texts().values())


def _tell(step: Step) -> None:
    thing = step.thing
    typer.echo(f"{step.action:<14} {thing.kind} {thing.title} ({thing.standing})")
