"""An exporter in a process of its own, scraped over HTTP and read with Prometheus' own parser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from toys.toy_project import ToyProject

WAIT_SECONDS = 60.0
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Exporter:
    """A running exporter."""

    def __init__(self, process: subprocess.Popen[str], port: int, statsd_port: int) -> None:
        self.process = process
        self.port = port
        self.statsd_port = statsd_port

    def scrape(self) -> Series:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as reply:
            text = reply.read().decode()
        series: Series = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in series, key
                series[key] = sample.value
        return series

    def value(self, name: str, **labels: str) -> float | None:
        return self.scrape().get((name, frozenset(labels.items())))

    def until(self, told: Callable[[Series], bool]) -> Series:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            series = self.scrape()
            if told(series):
                return series
            assert time.monotonic() < deadline, series
            time.sleep(0.1)


@contextmanager
def exporting(toy: ToyProject, *options: str, **environ: str) -> Iterator[Exporter]:
    port, statsd_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    command = [sys.executable, "-m", "voxmill.cli.main", "exporter", "--port", str(port)]
    command += ["--statsd-port", str(statsd_port), "--refresh-seconds", "0.2", *options]
    process = subprocess.Popen(
        command,
        cwd=toy.root,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert f":{port}/metrics" in first, first + process.stdout.read()
        yield Exporter(process, port, statsd_port)
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=30)
        assert "Traceback" not in rest, rest


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return (name, frozenset(labels.items()))
