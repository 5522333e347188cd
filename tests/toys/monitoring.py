"""Real Prometheus, Alertmanager and exporter on loopback ports of their own, for tests.

with monitoring(toy.root, folder) as watched:
    watched.wait_for('voxmill_run_state{state="running"} == 1')
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from voxmill.exporting.monitor_setup import MonitorOptions, Ports
from voxmill.exporting.monitors import Monitors

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGURATION = REPOSITORY / "monitoring"
FAKE_NVML = Path(__file__).resolve().parents[1] / "fakes" / "nvml"
FACTOR = 60
"""Shortened rules take a second for a minute."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])\b")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset \w+")
_LIMITS = re.compile(r"\b(900|1800|3600|7200)\b")
"""Limits in seconds that stand as numbers in the rules; those of a day stay as they are."""


@dataclass
class Webhook:
    """An HTTP server that keeps the alerts that Alertmanager sends it."""

    url: str
    received: list[dict[str, Any]] = field(default_factory=list)
    """Each alert as it came: status, labels, annotations."""
    refusing: bool = False
    """While set, whatever comes is answered with 400 and not kept."""

    def alerts(self, name: str, status: str = "firing", **labels: str) -> list[dict[str, Any]]:
        """What came of one alert."""
        wanted = {"alertname": name, **labels}
        return [
            alert
            for alert in list(self.received)
            if alert["status"] == status and wanted.items() <= alert["labels"].items()
        ]


@dataclass
class Watched:
    """The three processes, ready."""

    monitors: Monitors
    statsd_port: int
    exporter_command: list[str]

    @property
    def prometheus(self) -> str:
        return self.monitors.urls["prometheus"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query's series, as `{"metric": labels, "value": [time, text]}`."""
        query = urllib.parse.urlencode({"query": expression})
        answer = fetch(f"{self.prometheus}/api/v1/query?{query}")
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def wait_for(self, expression: str, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The series of a query, as soon as there is one."""
        deadline = time.monotonic() + seconds
        while not (found := self.query(expression)):
            self.monitors.require_alive()
            assert time.monotonic() < deadline, f"nothing after {seconds} s: {expression}"
            time.sleep(0.2)
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        found = self.query('ALERTS{alertstate="firing"}')
        return {series["metric"]["alertname"] for series in found}

    def say(self, *lines: str) -> None:
        """Sends StatsD lines as Airflow does."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in lines:
                sender.sendto(line.encode(), ("127.0.0.1", self.statsd_port))


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@contextmanager
def monitoring(
    project: Path,
    folder: Path,
    *,
    configuration: Path | None = None,
    webhook: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Watched]:
    """Exporter, Alertmanager and Prometheus over a project.

    Args:
        project: Whose runs are watched.
        folder: For configurations, data and logs.
        configuration: As `shortened` made it; the repository's own, scraped each second, for None.
        webhook: Where alerts go.
        environ: What the exporter is told, such as `FAKE_NVML` and `VOXMILL_REMOTE`.
    """
    exporter, prometheus, alertmanager = free_ports(3)
    (statsd,) = free_ports(1)
    settings = {"PYTHONPATH": f"{FAKE_NVML}{os.pathsep}{REPOSITORY / 'src'}", **(environ or {})}
    command = [
        "env", *(f"{name}={value}" for name, value in settings.items()),
        sys.executable, "-m", "voxmill.cli.main", "exporter", "--port", str(exporter),
        "--statsd-port", str(statsd), "--refresh-seconds", "0.5", "--release-seconds", "5",
    ]  # fmt: skip
    options = MonitorOptions(
        configuration=configuration or quickened(folder / "configuration"),
        state=folder / "state",
        exporter_command=command,
        exporter_folder=project,
        ports=Ports(exporter=exporter, prometheus=prometheus, alertmanager=alertmanager),
        webhook=webhook,
    )
    with Monitors(options) as monitors:
        yield Watched(monitors, statsd, command)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver of alerts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not receiver.refusing:
                receiver.received.extend(body["alerts"])
            self.send_response(400 if receiver.refusing else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Webhook(f"http://127.0.0.1:{server.server_port}/alerts")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def quickened(target: Path) -> Path:
    """A copy of `monitoring/` that scrapes and evaluates each second; its rules are the real."""
    for name in ("prometheus", "alertmanager"):
        shutil.copytree(CONFIGURATION / name, target / name, dirs_exist_ok=True)
    path = target / "prometheus" / "prometheus.yml"
    settings = yaml.safe_load(path.read_text())
    for name in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
        settings["global"][name] = "1s"
    path.write_text(yaml.safe_dump(settings))
    return target


def shortened(target: Path) -> Path:
    """A quickened copy in whose rules and notices a second stands for a minute.

    All that is changed: `for` and `keep_firing_for`; ranges, steps and offsets in expressions; the
    limits in seconds 900, 1800, 3600 and 7200; Alertmanager's waits. Ratios and counts stay.
    """
    quickened(target)
    for path in (target / "prometheus" / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule["expr"] = shorter_expression(rule["expr"])
            for name in {"for", "keep_firing_for"} & rule.keys():
                rule[name] = _shorter(rule[name])
        path.write_text(yaml.safe_dump(rules, sort_keys=False))
    path = target / "alertmanager" / "alertmanager.yml"
    settings = yaml.safe_load(path.read_text())
    for route in (settings["route"], *settings["route"]["routes"]):
        for name in {"group_wait", "group_interval", "repeat_interval"} & route.keys():
            route[name] = _shorter(route[name])
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return target


def shorter_expression(expression: str) -> str:
    """PromQL with all its durations divided by `FACTOR`."""
    short = _RANGE.sub(lambda found: _shorter(found.group()), expression)
    return _LIMITS.sub(lambda found: str(int(found.group()) // FACTOR), short)


def _shorter(text: str) -> str:
    """A text with every duration in it divided by `FACTOR`, in milliseconds."""

    def divide(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _UNITS[found[2]] * 1000 // FACTOR}ms"

    return _DURATION.sub(divide, text)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
