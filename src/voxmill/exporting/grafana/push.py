"""Brings a Grafana server to what is wanted; nothing that a person made is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voxmill import __version__
from voxmill.errors import UsageError
from voxmill.exporting.grafana.comparison import PUSHED, Kind, Standing, Thing, compare
from voxmill.exporting.grafana.server import Server
from voxmill.exporting.grafana.wanted import Wanted


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """How far a push may go."""

    dry_run: bool = False
    force: bool = False
    """Whether what people changed by hand may be overwritten."""


@dataclass(frozen=True)
class Step:
    """What was done, or is to be done, with one thing."""

    thing: Thing
    action: str


def push(
    server: Server, wanted: Wanted, options: PushOptions, tell: Callable[[Step], None]
) -> None:
    """Makes what is missing and brings up to date what an earlier push left.

    Args:
        server: Where.
        wanted: What.
        options: How far to go.
        tell: Hears of each step once it is done.

    Raises:
        GrafanaError: The server refuses or does not answer; a second push does the rest.
        UsageError: Something was changed by hand; it was left as it is, all others are done.
    """
    things = compare(server, wanted)  # all of it is read before the first thing is written
    for thing in things:
        action = _action(thing, options)
        if action in _WRITING and not options.dry_run:
            _write(server, wanted, thing, force=options.force)
        tell(Step(thing, action))
    left = [thing for thing in things if _action(thing, options) == LEFT]
    if left:
        raise UsageError(_left_message(left))


MADE, UPDATED, OVERWRITTEN, LEFT, NOTHING = "make", "update", "overwrite", "LEAVE", "nothing to do"
_WRITING = frozenset({MADE, UPDATED, OVERWRITTEN})


def _action(thing: Thing, options: PushOptions) -> str:
    return {
        Standing.MISSING: MADE,
        Standing.OUTDATED: UPDATED,
        Standing.CHANGED: OVERWRITTEN if options.force else LEFT,
        Standing.PROVISIONED: NOTHING,
        Standing.UNSUPPORTED: NOTHING,
        Standing.SAME: NOTHING,
    }[thing.standing]


def _write(server: Server, wanted: Wanted, thing: Thing, *, force: bool) -> None:
    missing = thing.standing is Standing.MISSING
    if thing.kind is Kind.FOLDER:
        server.make_folder(wanted.folder["uid"], wanted.folder["title"])
    elif thing.kind is Kind.DATASOURCE:
        (server.make_datasource if missing else server.change_datasource)(wanted.datasource)
    elif thing.kind is Kind.CONTACT_POINT:
        write = server.make_contact_point if missing else server.change_contact_point
        write(wanted.contact_point)
    else:
        model = next(each for each in wanted.dashboards if each["uid"] == thing.uid)
        # With its version the server refuses (412) if somebody saves between our look and this.
        server.save_dashboard(
            {**model, "version": thing.version} if thing.version is not None else dict(model),
            folder=wanted.folder["uid"],
            message=f"{PUSHED} ({__version__})",
            overwrite=force,
        )


def _left_message(left: Sequence[Thing]) -> str:
    names = ", ".join(f"{thing.kind} {thing.title}" for thing in left)
    return (
        f"Changed by hand on the server, and left as it is: {names}. `voxmill grafana diff` shows "
        "what differs, `voxmill grafana backup` keeps a copy; take the change over into "
        "src/voxmill/exporting/dashboards, or push again with --force."
    )
