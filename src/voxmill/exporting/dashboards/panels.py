"""Kinds of panels, each with its words, queries and look; what all of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    ScaleDistributionConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from voxmill.exporting.dashboards.wording import GOOD, steps

DATASOURCE = DataSourceRef(type_val="prometheus", uid="voxmill-prometheus")
"""Fixed: a panel that names a datasource the server does not have stays empty."""

Builder = (
    stat.Panel
    | timeseries.Panel
    | statetimeline.Panel
    | bargauge.Panel
    | barchart.Panel
    | table.Panel
)
_P = TypeVar(
    "_P",
    stat.Panel,
    timeseries.Panel,
    statetimeline.Panel,
    bargauge.Panel,
    barchart.Panel,
    table.Panel,
)

COLOURED = {"type": "color-background", "mode": "basic"}
"""A table's cell that shows its colour."""


@dataclass(frozen=True)
class Query:
    """What a panel asks Prometheus."""

    expression: str
    legend: str = ""
    """Name of each series, with its labels: `{{split}}`."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How values read."""

    unit: str
    """Grafana's name of it: `percentunit`, `s`, `decbytes`, `short`."""
    thresholds: ThresholdsConfig | None = None
    mappings: Sequence[ValueMapping] = ()
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    empty: str = "nothing yet"
    """Shown where there is no value."""
    links: Sequence[DashboardLink] = ()
    """Where a click on a value leads."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A table's column of values; columns of labels come by themselves."""

    title: str
    expression: str
    unit: str
    mappings: Sequence[ValueMapping] = ()
    thresholds: ThresholdsConfig | None = None
    coloured: bool = False


def figure(title: str, description: str, queries: Sequence[Query], look: Look) -> stat.Panel:
    """Big numbers or words for what holds now, on their colour."""
    panel = (
        stat.Panel()
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(
            common.BigValueTextMode.VALUE
            if len(queries) == 1 and "{{" not in queries[0].legend
            else common.BigValueTextMode.VALUE_AND_NAME
        )
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    )
    return _dressed(
        panel, title, description, look, [_target(one, instant=True) for one in queries]
    )


def lines(
    title: str, description: str, queries: Sequence[Query], look: Look, *, logarithmic: bool = False
) -> timeseries.Panel:
    """Values over time; thresholds are dashed lines."""
    panel = (
        timeseries.Panel()
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(6)
        .show_points(common.VisibilityMode.AUTO)
        .span_nulls(span_nulls=True)
        .legend(
            VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "min", "max"])
        )
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    if look.thresholds is not None:
        style = GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    if logarithmic:
        scale = ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
        panel.scale_distribution(scale)
    panel = _dressed(panel, title, description, look, [_target(one) for one in queries])
    return panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))


def timeline(
    title: str, description: str, queries: Sequence[Query], look: Look
) -> statetimeline.Panel:
    """Which state held when, a line for each series."""
    panel = (
        statetimeline.Panel()
        .merge_values(merge_values=True)
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(VizLegendOptions().show_legend(show_legend=False))
    )
    return _dressed(panel, title, description, look, [_target(one) for one in queries])


def bars(title: str, description: str, queries: Sequence[Query], look: Look) -> bargauge.Panel:
    """Values side by side, as they are now."""
    panel = (
        bargauge.Panel()
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .show_unfilled(show_unfilled=True)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    )
    return _dressed(
        panel, title, description, look, [_target(one, instant=True) for one in queries]
    )


def columns_by(
    title: str, description: str, values: str, order: str, look: Look, *, label: str
) -> barchart.Panel:
    """Upright bars side by side, one for each value of a label.

    Args:
        title: Title of the panel.
        description: What it tells.
        values: PromQL of the heights; it keeps the label.
        order: PromQL of numbers, with the same labels, that the bars are sorted by.
        look: How heights read.
        label: What stands under each bar.
    """
    targets = [
        _target(Query(expression, f"{{{{{label}}}}}"), instant=True).format(PromQueryFormat.TABLE)
        for expression in (values, order)
    ]
    panel = (
        barchart.Panel()
        .x_field(label)
        .orientation(common.VizOrientation.VERTICAL)
        .show_value(common.VisibilityMode.ALWAYS)
        .fill_opacity(80)
        .line_width(0)
        .legend(VizLegendOptions().show_legend(show_legend=False))
    )
    _dressed(panel, title, description, look, targets)
    height, place = _fields(2)
    steps_taken: dict[str, dict[str, object]] = {
        "merge": {},
        "sortBy": {"sort": [{"field": place}]},
        "organize": {
            "excludeByName": {"Time": True, place: True},
            "renameByName": {height: title},
        },
    }
    for name, options in steps_taken.items():
        panel.with_transformation(DataTransformerConfig(id_val=name, options=options))
    return panel


def listing(
    title: str,
    description: str,
    columns: Sequence[Column],
    look: Look,
    *,
    hidden: str = "",
    sorted_by: str = "",
) -> table.Panel:
    """A table: rows by their labels, a column for each value.

    Args:
        title: Title of the panel.
        description: What it tells.
        columns: Columns of values; all must keep the same labels.
        look: Unit and links of columns that say nothing else.
        hidden: A column of values that only brings labels.
        sorted_by: Title of the column that rows are sorted by, rising.
    """
    targets = [
        _target(Query(column.expression), instant=True).format(PromQueryFormat.TABLE)
        for column in columns
    ]
    plain = table.Panel().show_header(show_header=True).filterable(filterable=True)
    plain.cell_options(common.TableAutoCellOptions())
    if sorted_by:
        plain.sort_by([TableSortByFieldState().display_name(sorted_by).desc(desc=False)])
    panel = _dressed(plain, title, description, look, targets)
    names = dict(zip(_fields(len(columns)), columns, strict=True))
    excluded = {"Time": True, **{field: True for field, c in names.items() if c.title == hidden}}
    renamed = {field: column.title for field, column in names.items()}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    options: dict[str, object] = {"excludeByName": excluded, "renameByName": renamed}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=options))
    for column in columns:
        if column.title != hidden:
            panel.override_by_name(column.title, _column_look(column))
    return panel


def _column_look(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.mappings:
        found.append(DynamicConfigValue(id_val="mappings", value=list(column.mappings)))
    if column.thresholds is not None:
        found.append(DynamicConfigValue(id_val="thresholds", value=column.thresholds.build()))
    if column.coloured:
        found.append(DynamicConfigValue(id_val="custom.cellOptions", value=dict(COLOURED)))
    return found


def _fields(count: int) -> list[str]:
    """Names that Grafana gives to the values of a table's queries."""
    return ["Value"] if count == 1 else [f"Value #{ref}" for ref in ascii_uppercase[:count]]


def _target(query: Query, *, instant: bool = False) -> Dataquery:
    target = Dataquery().expr(query.expression).datasource(DATASOURCE)
    if query.legend:
        target.legend_format(query.legend)
    return target.instant() if instant else target.range()


def _dressed(
    panel: _P, title: str, description: str, look: Look, targets: Sequence[Dataquery]
) -> _P:
    """Gives a panel what every panel has."""
    panel.title(title).description(description).datasource(DATASOURCE).unit(look.unit)
    panel.thresholds(look.thresholds or steps(GOOD)).no_value(look.empty)
    panel.mappings(list(look.mappings))
    if look.decimals is not None:
        panel.decimals(look.decimals)
    if look.low is not None:
        panel.min(look.low)
    if look.high is not None:
        panel.max(look.high)
    if look.links:
        panel.data_links(list(look.links))
    for ref, target in zip(ascii_uppercase, targets, strict=False):
        panel.with_target(target.ref_id(ref))
    return panel
