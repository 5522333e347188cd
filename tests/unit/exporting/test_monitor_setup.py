"""Configurations in force: this start's addresses, the webhook's secret, nothing that is gone."""

from __future__ import annotations

import pytest
import yaml

from toys.monitoring import CONFIGURATION
from voxmill.errors import UsageError
from voxmill.exporting.monitor_setup import (
    MonitorOptions,
    Ports,
    read_webhook,
    write_configuration,
)

PORTS = Ports(exporter=11, prometheus=12, alertmanager=13)


def written(folder, **more):
    options = MonitorOptions(
        configuration=CONFIGURATION,
        state=folder,
        exporter_command=["true"],
        exporter_folder=folder,
        ports=PORTS,
        **more,
    )
    write_configuration(options)
    return folder


def test_targets_are_the_ports_of_this_start(tmp_path):
    """Loopback addresses, one file for each job."""
    targets = written(tmp_path) / "prometheus" / "targets"
    found = {path.stem: yaml.safe_load(path.read_text()) for path in targets.glob("*.yml")}
    assert found == {
        "exporters": [{"targets": ["127.0.0.1:11"]}],
        "prometheus": [{"targets": ["127.0.0.1:12"]}],
        "alertmanagers": [{"targets": ["127.0.0.1:13"]}],
    }


def test_a_rule_that_is_gone_does_not_stay_in_force(tmp_path):
    """The state folder is kept from start to start, its rules are not."""
    stale = written(tmp_path) / "prometheus" / "rules" / "stale.yml"
    stale.write_text("groups: []")
    written(tmp_path)
    assert not stale.exists()
    assert (stale.parent / "training.yml").exists()


def test_the_webhook_goes_to_every_receiver_and_nobody_else_may_read_it(tmp_path):
    """Its URL mostly is a secret."""
    path = written(tmp_path, webhook="https://hook.example/secret") / "alertmanager"
    path = path / "alertmanager.yml"
    receivers = yaml.safe_load(path.read_text())["receivers"]
    urls = [one["webhook_configs"][0]["url"] for one in receivers]
    assert urls == ["https://hook.example/secret"] * len(receivers)
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_webhook_alerts_go_nowhere(tmp_path):
    """No attempts at an address where nobody listens."""
    path = written(tmp_path) / "alertmanager" / "alertmanager.yml"
    receivers = yaml.safe_load(path.read_text())["receivers"]
    assert all("webhook_configs" not in one for one in receivers)


def test_a_webhook_file_holds_one_url(tmp_path):
    """Line ends around it do no harm."""
    path = tmp_path / "url"
    path.write_text("https://hook.example/x\n")
    assert read_webhook(path) == "https://hook.example/x"


@pytest.mark.parametrize("content", ["", "secret-token", "https://a https://b"])
def test_a_webhook_file_with_anything_else_is_refused_and_not_shown(tmp_path, content):
    """What is in it may be a secret that was put into the wrong file."""
    path = tmp_path / "url"
    path.write_text(content)
    with pytest.raises(UsageError, match="expected one URL") as told:
        read_webhook(path)
    assert not content or content not in str(told.value)


def test_a_webhook_file_that_is_missing_is_named(tmp_path):
    """With the reason."""
    with pytest.raises(UsageError, match=r"url: No such file"):
        read_webhook(tmp_path / "url")
