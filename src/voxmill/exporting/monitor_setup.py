"""What a start of the monitors needs: addresses, folders, and the configurations in force."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from voxmill.errors import UsageError

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where each of them listens."""

    exporter: int = 9345
    prometheus: int = 9090
    alertmanager: int = 9093


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """What is wanted of one start."""

    configuration: Path
    """Holds `prometheus/` and `alertmanager/`, such as the project's `monitoring/`."""
    state: Path
    """For the configurations in force, Prometheus' data and the logs."""
    exporter_command: Sequence[str]
    """Starts the exporter on `ports.exporter`."""
    exporter_folder: Path
    """Where it is started."""
    ports: Ports = field(default_factory=Ports)
    webhook: str | None = None
    """Where alerts go; None: nowhere, they are only shown."""


def write_configuration(options: MonitorOptions) -> None:
    """Puts the configurations in force into the state folder, with the addresses of this start."""
    prometheus = options.state / "prometheus"
    for name in ("rules", "targets"):  # a rule or target that is gone must not stay in force
        shutil.rmtree(prometheus / name, ignore_errors=True)
        shutil.copytree(options.configuration / "prometheus" / name, prometheus / name)
    shutil.copyfile(
        options.configuration / "prometheus" / "prometheus.yml", prometheus / "prometheus.yml"
    )
    addresses = {
        "exporters": options.ports.exporter,
        "prometheus": options.ports.prometheus,
        "alertmanagers": options.ports.alertmanager,
    }
    for name, port in addresses.items():
        targets = [{"targets": [f"{HOST}:{port}"]}]
        (prometheus / "targets" / f"{name}.yml").write_text(yaml.safe_dump(targets))
    alertmanager = options.state / "alertmanager"
    alertmanager.mkdir(parents=True, exist_ok=True)
    path = alertmanager / "alertmanager.yml"
    path.touch(mode=0o600)  # a webhook's URL mostly is a secret
    source = options.configuration / "alertmanager" / "alertmanager.yml"
    path.write_text(_with_webhook(source.read_text("utf-8"), options.webhook))


def read_webhook(path: Path) -> str:
    """The URL that stands alone in a file.

    Raises:
        UsageError: The file cannot be read, or holds something else.
    """
    try:
        url = path.read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"Webhook file {path}: {error.strerror}. Write the URL alone into it."
        ) from error
    if not url.startswith(("http://", "https://")) or len(url.split()) != 1:
        raise UsageError(
            f"Webhook file {path}: expected one URL that starts with http:// or https://, and "
            f"nothing else. What is there is not shown, for it may be a secret."
        )
    return url


def _with_webhook(text: str, url: str | None) -> str:
    configuration = yaml.safe_load(text)
    for receiver in configuration["receivers"]:
        if url is None:
            receiver.pop("webhook_configs", None)
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = url
    return yaml.safe_dump(configuration, sort_keys=False)
