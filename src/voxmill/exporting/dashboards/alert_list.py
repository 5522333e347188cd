"""The list of alerts that several dashboards show."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

from voxmill.exporting.dashboards import places
from voxmill.exporting.dashboards.expressions import ALERTS
from voxmill.exporting.dashboards.panels import COLOURED, Column, Look, listing
from voxmill.exporting.dashboards.wording import BAD, CARE


def firing(alerts: str = ALERTS) -> table.Panel:
    """Alerts that fire, the worst first to the eye; a click leads to the runbook.

    Args:
        alerts: PromQL that gives series of `ALERTS`.
    """
    labels = "alertname, severity, recipe, run, stage"
    count = Column(title="Firing", expression=f"sum by ({labels}) ({alerts})", unit="short")
    look = Look(unit="short", empty="none: all is well", links=[places.runbook()])
    panel = listing(
        "Alerts",
        "What fires now. A click leads to its paragraph in the runbook.",
        [count],
        look,
        hidden="Firing",
    )
    severities = {
        "critical": ValueMappingResult(color=BAD, index=0),
        "warning": ValueMappingResult(color=CARE, index=1),
    }
    panel.override_by_name(
        "severity",
        [
            DynamicConfigValue(id_val="mappings", value=[ValueMap(options=severities)]),
            DynamicConfigValue(id_val="custom.cellOptions", value=dict(COLOURED)),
        ],
    )
    return panel
