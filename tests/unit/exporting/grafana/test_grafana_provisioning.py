"""What is pushed and what is provisioned by file is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from voxmill.exporting.dashboards.catalogue import dashboard_texts
from voxmill.exporting.dashboards.panels import DATASOURCE
from voxmill.exporting.grafana.settings import GrafanaSettings
from voxmill.exporting.grafana.wanted import wanted_on

PROVISIONING = Path(__file__).resolve().parents[4] / "monitoring" / "grafana" / "provisioning"
ENVIRONMENT = {
    "GRAFANA_URL": "http://g",
    "GRAFANA_TOKEN": "t",
    "VOXMILL_PROMETHEUS_URL": "http://prometheus:9090",
    "VOXMILL_ALERTMANAGER_URL": "http://alertmanager:9093",
    "VOXMILL_AIRFLOW_URL": "https://airflow.example.org",
    "VOXMILL_RUNBOOK_URL": "https://runbook.example.org/page",
}
WANTED = wanted_on(GrafanaSettings.read(ENVIRONMENT), dashboard_texts().values())


def provisioned(kind: str) -> dict[str, object]:
    """A provisioning file with the environment put in, as Grafana does it."""
    text = (PROVISIONING / kind / "voxmill.yml").read_text("utf-8")
    for name, value in ENVIRONMENT.items():
        text = text.replace(f"${name}", value)
    return yaml.safe_load(text)


def test_the_provisioned_datasource_is_the_pushed_one() -> None:
    """With the uid that every panel names."""
    (found,) = provisioned("datasources")["datasources"]
    assert not found.pop("editable")
    assert found == WANTED.datasource
    assert found["uid"] == DATASOURCE.uid


def test_the_provisioned_contact_point_is_the_pushed_one() -> None:
    """Alerts made in Grafana go through Alertmanager either way."""
    (point,) = provisioned("alerting")["contactPoints"]
    (receiver,) = point["receivers"]
    assert {"name": point["name"], **receiver} == WANTED.contact_point


def test_the_provisioned_folder_is_the_pushed_one() -> None:
    """Else a push beside it would double every dashboard."""
    (provider,) = provisioned("dashboards")["providers"]
    assert {"uid": provider["folderUid"], "title": provider["folder"]} == WANTED.folder


@pytest.mark.parametrize("dashboard", WANTED.dashboards, ids=lambda one: one["uid"])
def test_links_lead_to_the_addresses_of_the_environment(dashboard: dict) -> None:
    """Value, choice and default alike: Grafana looks at all three."""
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    for name in ("AIRFLOW", "RUNBOOK"):
        url, variable = ENVIRONMENT[f"VOXMILL_{name}_URL"], variables[name.lower()]
        assert variable["query"] == variable["current"]["value"] == url
        assert [each["value"] for each in variable["options"]] == [url]
    assert "localhost:8080" not in json.dumps(dashboard)
