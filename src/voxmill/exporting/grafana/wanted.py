"""What voxmill wants on a Grafana server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from voxmill.exporting.grafana.settings import GrafanaSettings

FOLDER = {"uid": "voxmill", "title": "voxmill"}
DATASOURCE_UID = "voxmill-prometheus"
CONTACT_UID = "voxmill-alertmanager"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Everything, as the API takes it."""

    folder: Mapping[str, str]
    """Uid and title of the folder that the dashboards lie in."""
    datasource: Mapping[str, Any]
    contact_point: Mapping[str, Any]
    dashboards: tuple[dict[str, Any], ...]


def wanted_on(settings: GrafanaSettings, texts: Iterable[str]) -> Wanted:
    """What is wanted on one server.

    Args:
        settings: Of the server; its addresses go into the dashboards' links.
        texts: The dashboards' JSON.
    """
    dashboards = [json.loads(text) for text in texts]
    for dashboard in dashboards:
        set_addresses(dashboard, settings.addresses)
    return Wanted(
        folder=FOLDER,
        datasource=_datasource(settings.prometheus_url),
        contact_point=_contact_point(settings.alertmanager_url),
        dashboards=tuple(dashboards),
    )


def set_addresses(dashboard: dict[str, Any], addresses: Mapping[str, str]) -> None:
    """Writes where links lead to into a dashboard's variables."""
    for variable in dashboard["templating"]["list"]:
        url = addresses.get(variable["name"])
        if variable["type"] == "textbox" and url:
            chosen = {"selected": True, "text": url, "value": url}
            variable |= {"query": url, "current": chosen, "options": [chosen]}


def _datasource(url: str) -> dict[str, Any]:
    """The same as `monitoring/grafana/provisioning/datasources/voxmill.yml`."""
    return {
        "uid": DATASOURCE_UID,
        "name": "voxmill",
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "isDefault": False,
        "jsonData": {"httpMethod": "POST", "timeInterval": "15s", "prometheusType": "Prometheus"},
    }


def _contact_point(url: str) -> dict[str, Any]:
    """Alerts that people make in Grafana go the way of all others, through Alertmanager."""
    return {
        "uid": CONTACT_UID,
        "name": "voxmill",
        "type": "prometheus-alertmanager",
        "settings": {"url": url},
        "disableResolveMessage": False,
    }
