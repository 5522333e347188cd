"""Copies of what a Grafana server has, for the day on which it is gone."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.errors import UsageError
from voxmill.exporting.grafana.errors import GrafanaError, GrafanaForbidden, GrafanaNotFound
from voxmill.exporting.grafana.server import Server

_UID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What was written."""

    folder: Path
    dashboards: int
    left_out: tuple[str, ...]
    """What could not be read, with the reason."""


def back_up(server: Server, folder: Path) -> Backup:
    """Writes all dashboards, folders, datasources and contact points; whole, or not at all.

    Secrets are not among them: the server never gives them out.

    Args:
        server: Whose.
        folder: Made; must not exist, or be empty.

    Raises:
        UsageError: The folder holds something.
        GrafanaError: The server does not answer as it should; nothing is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: expected no such folder, or an empty one. Name another one.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        draft = Path(made) / "draft"
        written, left_out = _write_all(server, draft)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    return Backup(folder=folder, dashboards=written, left_out=left_out)


def _write_all(server: Server, draft: Path) -> tuple[int, tuple[str, ...]]:
    """Number of dashboards, and what was left out."""
    found = server.dashboards()
    for each in found:
        dashboard = server.dashboard(each["uid"])
        if dashboard is not None:  # deleted since the search
            place = draft / "dashboards" / _file_name(each.get("folderUid") or "general")
            _write(place / f"{_file_name(each['uid'])}.json", dashboard)
    left_out = []
    for name, read in {
        "folders": server.folders,
        "datasources": server.datasources,
        "contact-points": server.contact_points,
    }.items():
        try:
            _write(draft / f"{name}.json", read())
        except (GrafanaForbidden, GrafanaNotFound) as error:
            left_out.append(_reason(name, error))
    _write(draft / "server.json", {"url": server.url, "version": server.version()})
    return len(found), tuple(left_out)


def _reason(name: str, error: GrafanaError) -> str:
    return f"{name}: {error.what} ({error.said}). {error.remedy}"


def _file_name(uid: str) -> str:
    """The uid itself where it can be a file's name; it comes from a server, not from us."""
    return uid if _UID.fullmatch(uid) else f"uid-{uid.encode().hex()}"


def _write(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )
