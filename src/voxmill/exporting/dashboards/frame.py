"""What all dashboards have in common: identity, variables, links, annotations, layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from voxmill.exporting.dashboards.panels import DATASOURCE, Builder

WIDTH = 24
"""Columns of Grafana's grid."""
TAG = "voxmill"
AIRFLOW_URL = "http://localhost:8080"
"""Where people reach Airflow, unless `VOXMILL_AIRFLOW_URL` says otherwise."""
RUNBOOK_URL = f"{AIRFLOW_URL}/voxmill/runbook"
"""Where `monitoring/runbook.md` can be read, unless `VOXMILL_RUNBOOK_URL` says otherwise."""
_SCHEMA_VERSION = 41  # of Grafana 11.6
_LABEL_VALUES = 1  # how Grafana's editor of Prometheus variables calls `label_values(…)`
_EDITORS_NAME = "PrometheusVariableQueryEditor-VariableQuery"
_INTERVALS_OWN = frozenset({"auto", "auto_count", "auto_min"})


@dataclass(frozen=True)
class Tile:
    """A panel and its size in the grid."""

    panel: Builder
    width: int
    height: int


@dataclass(frozen=True)
class Band:
    """Panels side by side under a heading; without one, at the very top."""

    heading: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Marks on the time axis."""

    name: str
    expression: str
    colour: str
    text: str
    """With labels: `{{stage}}`."""
    value_is_time: bool = False
    """True where the value is the time of the event in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A dashboard before it is laid out."""

    uid: str
    title: str
    description: str
    bands: Sequence[Band]
    variables: Sequence[build.QueryVariable | build.TextBoxVariable] = ()
    events: Sequence[Event] = ()
    links: Sequence[build.DashboardLink] = ()
    since: str = "now-6h"


def laid_out(frame: Frame) -> model.Dashboard:
    """The dashboard with its panels numbered and placed from the top left."""
    board = (
        build.Dashboard(frame.title)
        .uid(frame.uid)
        .description(frame.description)
        .tags([TAG])
        .timezone("browser")
        .time(frame.since, "now")
        .refresh("15s")
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_siblings())
    )
    for one in frame.links:
        board.link(one)
    for variable in (*frame.variables, *_addresses()):
        board.with_variable(variable)
    for event in frame.events:
        board.annotation(_Mark(event))
    _place(board, frame.bands)
    found = board.build()
    found.schema_version = _SCHEMA_VERSION
    return found


def as_text(board: model.Dashboard) -> str:
    """JSON as it is checked in."""
    plain = json.loads(json.dumps(board, cls=JSONEncoder))
    for variable in plain["templating"]["list"]:
        for foreign in _INTERVALS_OWN & variable.keys():  # the SDK gives them to every variable
            del variable[foreign]
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def choice(
    name: str,
    label: str,
    query: str,
    *,
    several: bool = False,
    newest_first: bool = False,
) -> build.QueryVariable:
    """A variable whose values Prometheus knows.

    Args:
        name: As expressions call it.
        label: As people read it.
        query: `label_values(metric, label)`.
        several: Whether more than one may be chosen, or all.
        newest_first: Falling order; run ids begin with a date.
    """
    order = model.VariableSort.ALPHABETICAL_DESC if newest_first else model.VariableSort.NATURAL_ASC
    variable = (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"qryType": _LABEL_VALUES, "query": query, "refId": _EDITORS_NAME})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(order)
        .multi(several)
        .include_all(several)
    )
    if several:
        every = model.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable.all_value(".+").current(every)
    return variable


def text_box(name: str, label: str, value: str, *, hidden: bool = False) -> build.TextBoxVariable:
    """A variable that people type; the address of the page can set it too (`var-NAME=`)."""
    hide = model.VariableHide.HIDE_VARIABLE if hidden else model.VariableHide.DONT_HIDE
    chosen = model.VariableOption(selected=True, text=value, value=value)
    return (
        build.TextBoxVariable(name)
        .label(label)
        .default_value(value)
        .current(chosen)
        .options([chosen])
        .hide(hide)
    )


class _Mark(build.AnnotationQuery):
    """An annotation by Prometheus, whose own fields the SDK's model does not have."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.name(event.name).datasource(DATASOURCE).enable(enable=True).hide(hide=False)
        self.icon_color(event.colour)
        self._event = event

    def build(self) -> model.AnnotationQuery:
        return _PrometheusAnnotation(self._event, super().build())


class _PrometheusAnnotation(model.AnnotationQuery):
    def __init__(self, event: Event, plain: model.AnnotationQuery) -> None:
        self.__dict__.update(plain.__dict__)
        self._event = event

    def to_json(self) -> dict[str, object]:
        event = self._event
        return super().to_json() | {
            "expr": event.expression,
            "step": "60s",
            "tagKeys": "",
            "textFormat": "",
            "titleFormat": event.text,
            "useValueForTime": "on" if event.value_is_time else "",
        }


def _addresses() -> tuple[build.TextBoxVariable, ...]:
    return (
        text_box("airflow", "Address of Airflow", AIRFLOW_URL, hidden=True),
        text_box("runbook", "Address of the runbook", RUNBOOK_URL, hidden=True),
    )


def _siblings() -> build.DashboardLink:
    return (
        build.DashboardLink("voxmill")
        .type(model.DashboardLinkType.DASHBOARDS)
        .icon("external link")
        .tags([TAG])
        .as_dropdown(as_dropdown=False)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def _place(board: build.Dashboard, bands: Sequence[Band]) -> None:
    number, y = 0, 0
    for band in bands:
        if band.heading:
            number += 1
            row = build.Row(band.heading).id(number).collapsed(collapsed=False)
            board.with_row(row.grid_pos(model.GridPos(h=1, w=WIDTH, x=0, y=y)))
            y += 1
        x, tallest = 0, 0
        for tile in band.tiles:
            if x + tile.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            place = model.GridPos(h=tile.height, w=tile.width, x=x, y=y)
            board.with_panel(tile.panel.id(number).grid_pos(place))
            x, tallest = x + tile.width, max(tallest, tile.height)
        y += tallest
