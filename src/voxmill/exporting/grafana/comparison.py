"""What differs between a Grafana server and what is wanted there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from voxmill.exporting.grafana.errors import GrafanaNotFound
from voxmill.exporting.grafana.server import Json, Server
from voxmill.exporting.grafana.wanted import Wanted

PUSHED = "voxmill grafana push"
"""What the list of versions says of our own saves; whoever saves by hand says something else."""
_SERVERS_OWN = frozenset({"id", "version", "iteration"})


class Kind(StrEnum):
    """What a thing is."""

    FOLDER = "folder"
    DATASOURCE = "datasource"
    CONTACT_POINT = "contact point"
    DASHBOARD = "dashboard"


class Standing(StrEnum):
    """How the server's version stands to the wanted one."""

    SAME = "same"
    MISSING = "missing"
    OUTDATED = "outdated"
    """It is what an earlier push left."""
    CHANGED = "changed by hand"
    """Somebody saved it, or made it; only `--force` overwrites that."""
    PROVISIONED = "provisioned by file"
    """It differs, and the server refuses to change it through the API."""
    UNSUPPORTED = "not in this version of Grafana"


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One wanted thing and what the server has of it."""

    kind: Kind
    uid: str
    title: str
    standing: Standing
    difference: tuple[str, ...] = ()
    """Lines of a unified diff from the server's version to the wanted one."""
    version: int | None = None
    """Of the server's dashboard, which a save replaces."""


def compare(server: Server, wanted: Wanted) -> list[Thing]:
    """Every wanted thing, in the order in which they must be made.

    Raises:
        GrafanaError: The server does not answer as it should.
    """
    return [
        _folder(server, wanted.folder),
        _datasource(server, wanted.datasource),
        _contact_point(server, wanted.contact_point),
        *(_dashboard(server, model, wanted.folder["uid"]) for model in wanted.dashboards),
    ]


def _folder(server: Server, wanted: Mapping[str, str]) -> Thing:
    found = server.folder(wanted["uid"])
    standing = Standing.SAME if found else Standing.MISSING
    return Thing(kind=Kind.FOLDER, uid=wanted["uid"], title=wanted["title"], standing=standing)


def _datasource(server: Server, wanted: Mapping[str, Any]) -> Thing:
    found = server.datasource(wanted["uid"])
    locked = bool(found and found.get("readOnly"))
    return _plain(Kind.DATASOURCE, wanted, found, locked=locked)


def _contact_point(server: Server, wanted: Mapping[str, Any]) -> Thing:
    try:
        points = server.contact_points()
    except GrafanaNotFound:
        return Thing(
            kind=Kind.CONTACT_POINT,
            uid=wanted["uid"],
            title=wanted["name"],
            standing=Standing.UNSUPPORTED,
        )
    found = next((point for point in points if point.get("uid") == wanted["uid"]), None)
    locked = bool(found and found.get("provenance") == "file")
    return _plain(Kind.CONTACT_POINT, wanted, found, locked=locked)


def _plain(kind: Kind, wanted: Mapping[str, Any], found: Json | None, *, locked: bool) -> Thing:
    """Of a thing without versions: nobody knows who changed it, so it counts as a person."""
    lines = _lines(_known_part(found, wanted), wanted) if found else ()
    standing = Standing.MISSING
    if found:
        differing = Standing.PROVISIONED if locked else Standing.CHANGED
        standing = differing if lines else Standing.SAME
    return Thing(
        kind=kind, uid=wanted["uid"], title=wanted["name"], standing=standing, difference=lines
    )


def _dashboard(server: Server, model: Json, folder: str) -> Thing:
    uid, title = model["uid"], model["title"]
    found = server.dashboard(uid)
    if found is None:
        return Thing(kind=Kind.DASHBOARD, uid=uid, title=title, standing=Standing.MISSING)
    lines = _lines(_without_servers_own(found["dashboard"]), _without_servers_own(model))
    meta = found.get("meta", {})
    place = meta.get("folderUid", folder)
    if place != folder:
        lines = (f"-in folder {place or 'General'}", f"+in folder {folder}", *lines)
    return Thing(
        kind=Kind.DASHBOARD,
        uid=uid,
        title=title,
        standing=_standing(server, uid, meta) if lines else Standing.SAME,
        difference=lines,
        version=found["dashboard"].get("version"),
    )


def _standing(server: Server, uid: str, meta: Mapping[str, Any]) -> Standing:
    if meta.get("provisioned"):
        return Standing.PROVISIONED
    ours = server.last_message(uid).startswith(PUSHED)
    return Standing.OUTDATED if ours else Standing.CHANGED


def _without_servers_own(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key not in _SERVERS_OWN}


def _known_part(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Of what the server has, the keys that are wanted; it adds many of its own."""
    return {
        key: _known_part(found[key], value)
        if isinstance(value, Mapping) and isinstance(found[key], Mapping)
        else found[key]
        for key, value in wanted.items()
        if key in found
    }


def _lines(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = (
        json.dumps(each, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
        for each in (found, wanted)
    )
    names = ("on the server", "wanted")
    return tuple(difflib.unified_diff(before, after, *names, lineterm="", n=2))
