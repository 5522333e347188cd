"""Where Grafana is, from the environment."""

from __future__ import annotations

import pytest

from voxmill.errors import UsageError
from voxmill.exporting.grafana.settings import GrafanaSettings

GOOD = {"GRAFANA_URL": "http://localhost:3000", "GRAFANA_TOKEN": "glsa_secret"}


def test_the_addresses_have_defaults_and_lose_their_last_slash() -> None:
    """As the demo on one machine has them."""
    found = GrafanaSettings.read({**GOOD, "GRAFANA_URL": "https://g.example.org/grafana/"})
    assert found.url == "https://g.example.org/grafana"
    assert found.prometheus_url == "http://localhost:9090"
    assert found.alertmanager_url == "http://localhost:9093"
    assert found.addresses == {}


def test_links_lead_where_the_environment_says() -> None:
    """Only those that are named."""
    found = GrafanaSettings.read({**GOOD, "VOXMILL_AIRFLOW_URL": "https://airflow.example.org/"})
    assert found.addresses == {"airflow": "https://airflow.example.org"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"GRAFANA_URL": ""}, "GRAFANA_URL: not set"),
        ({"GRAFANA_TOKEN": ""}, "GRAFANA_TOKEN: not set"),
        ({"GRAFANA_URL": "", "GRAFANA_TOKEN": ""}, "GRAFANA_URL and GRAFANA_TOKEN: not set"),
        ({"GRAFANA_URL": "localhost:3000"}, "http:// or https:// and a host"),
        ({"GRAFANA_URL": "http://"}, "http:// or https:// and a host"),
        ({"GRAFANA_URL": "http://g:port"}, "http:// or https:// and a host"),
        ({"GRAFANA_URL": "http://[::1"}, "http:// or https:// and a host"),
        ({"GRAFANA_URL": "http://a:hunter2@g"}, "holds a user"),  # pragma: allowlist secret
        ({"VOXMILL_AIRFLOW_URL": "airflow"}, "VOXMILL_AIRFLOW_URL: found"),
        ({"GRAFANA_TOKEN": "glsa_\nsecret"}, "characters that no token has"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(change: dict[str, str], words: str) -> None:
    """Before anything is asked; neither token nor password is repeated."""
    with pytest.raises(UsageError, match=words) as refused:
        GrafanaSettings.read({**GOOD, **change})
    assert "secret" not in str(refused.value).replace("may hold a secret", "")
    assert "hunter2" not in str(refused.value)


def test_the_token_is_not_in_what_is_shown() -> None:
    """A traceback shows the settings."""
    assert "glsa_secret" not in repr(GrafanaSettings.read(GOOD))
