"""Airflow's StatsD lines as labelled Prometheus metrics.

Airflow writes each metric's tags into its name as InfluxDB does (`ti.finish,dag_id=digits,…`), so
that no pattern has to guess where a DAG's name ends. What is passed on stands in the catalogue.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from voxmill.exporting.samples import Sample
from voxmill.observability.catalogue import allowed_values
from voxmill.observability.metric import NAMED, Metric
from voxmill.observability.metrics.foreign import (
    AIRFLOW_COUNTERS,
    AIRFLOW_GAUGES,
    AIRFLOW_TIMERS,
)

PREFIX = "airflow"
MAX_SERIES = 5000
"""Beyond it new series are ignored: a flood of names must not fill the memory. Known ones go on."""
_MILLI = 1e-3
_ENDED = re.compile(r"dagrun\.duration\.(?P<state>\w+)")
_TAGS = {"pool_name": "pool"}
_FAILED = "airflow_dagrun_failed_total"

Key = tuple[str, tuple[str, ...]]


def airflow_settings(port: int, host: str = "127.0.0.1") -> dict[str, str]:
    """The environment variables that make an Airflow tell this bridge its metrics.

    Args:
        port: UDP port that the exporter listens on.
        host: The exporter's host.
    """
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": host,
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_PREFIX": PREFIX,
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
    }


@dataclass(frozen=True, kw_only=True)
class StatsdLine:
    """One line: a name with tags, a value, and what kind of value it is."""

    name: str
    tags: Mapping[str, str]
    value: float
    kind: str
    """`c` counter, `g` gauge, `ms` timer in milliseconds."""
    relative: bool
    """A gauge's value with a sign is added to what it was."""
    rate: float
    """Share of such events that is told, 0-1."""


def parse_line(line: str) -> StatsdLine | None:
    """A line of the StatsD protocol with InfluxDB's tags; None where it is none."""
    head, separator, tail = line.strip().rpartition(":")
    fields = tail.split("|")
    if not separator or len(fields) < 2 or not head:
        return None
    name, *tags = head.split(",")
    rates = [part[1:] for part in fields[2:] if part.startswith("@")]
    try:
        value, rate = float(fields[0]), float(rates[0]) if rates else 1.0
    except ValueError:
        return None
    if not 0 < rate <= 1 or not math.isfinite(value):
        return None
    return StatsdLine(
        name=name.removeprefix(f"{PREFIX}."),
        tags=dict(tag.split("=", 1) for tag in tags if "=" in tag),
        value=value,
        kind=fields[1],
        relative=fields[0][:1] in {"+", "-"},
        rate=rate,
    )


@dataclass
class AirflowBridge:
    """Sums what Airflow says; a restart begins at zero, which Prometheus takes for a reset.

    Attributes:
        clock: Seconds since 1970.
    """

    clock: Callable[[], float] = time.time
    lines: int = 0
    ignored: int = 0
    """Lines that are malformed, or of metrics that are not catalogued."""
    last_line_time: float | None = None
    _values: dict[Key, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect_dags(self, dag_ids: Iterable[str]) -> None:
        """Starts their counts of failures at 0: a first failure must be seen as a rise."""
        with self._lock:
            for dag_id in dag_ids:
                self._values.setdefault((_FAILED, (dag_id,)), 0.0)

    def take(self, datagram: bytes) -> None:
        """Takes in a datagram: one line, or several."""
        with self._lock:
            for text in datagram.decode("utf-8", errors="replace").splitlines():
                self.lines += 1
                line = parse_line(text)
                if line is None or not self._count(line):
                    self.ignored += 1
            self.last_line_time = self.clock()

    def samples(self) -> Iterator[Sample]:
        """What Airflow has said so far, and how much."""
        with self._lock:
            values = list(self._values.items())
        for (name, labels), value in values:
            yield Sample(name, labels, value)
        yield Sample("voxmill_exporter_statsd_lines_total", (), float(self.lines))
        yield Sample("voxmill_exporter_statsd_ignored_total", (), float(self.ignored))
        if self.last_line_time is not None:
            name = "voxmill_exporter_statsd_last_line_timestamp_seconds"
            yield Sample(name, (), self.last_line_time)

    def _count(self, line: StatsdLine) -> bool:
        ended = _ENDED.fullmatch(line.name)
        tags = {_TAGS.get(tag, tag): value for tag, value in line.tags.items()}
        name = line.name
        if ended is not None:
            name, tags["state"] = "dagrun.duration", ended["state"]
        metric = _KNOWN.get((line.kind, re.sub(r"[.-]", "_", name)))
        labels = None if metric is None else _labels(metric, tags)
        if metric is None or labels is None:
            return False
        failures = (_FAILED, labels[:1])
        if ended is not None and ended["state"] == "failed" and self._has_room(failures):
            self._sum(failures, 1.0 / line.rate)
        if not self._has_room((metric.sample_names[0], labels)):
            return False
        self._add(metric, labels, line)
        return True

    def _has_room(self, key: Key) -> bool:
        return key in self._values or len(self._values) < MAX_SERIES

    def _add(self, metric: Metric, labels: tuple[str, ...], line: StatsdLine) -> None:
        if metric.type == "gauge":
            key = (metric.name, labels)
            before = self._values.get(key, 0.0) if line.relative else 0.0
            self._values[key] = before + line.value
        elif metric.type == "summary":
            count, total = metric.sample_names
            self._sum((count, labels), 1.0 / line.rate)
            self._sum((total, labels), max(0.0, line.value) * _MILLI / line.rate)
        else:
            self._sum((metric.name, labels), max(0.0, line.value) / line.rate)

    def _sum(self, key: Key, value: float) -> None:
        self._values[key] = self._values.get(key, 0.0) + value


def _labels(metric: Metric, tags: Mapping[str, str]) -> tuple[str, ...] | None:
    """Values of the metric's labels; None where one is missing or outside its set.

    Characters that no name has become underscores; tags that are no labels are left out.
    """
    values = []
    for label in metric.labels:
        value = re.sub(r"[^A-Za-z0-9_.-]", "_", tags.get(label, ""))
        allowed = allowed_values(metric.name, label)
        if not (NAMED.fullmatch(value) if allowed is None else value in allowed):
            return None
        values.append(value)
    return tuple(values)


def _stat_name(metric: Metric) -> str:
    name = metric.name.removeprefix(f"{PREFIX}_").removesuffix("_total")
    return name.removesuffix("_seconds") if metric.unit == "seconds" else name


def _flat(kind: str, metrics: Iterable[Metric]) -> dict[tuple[str, str], Metric]:
    return {(kind, _stat_name(metric)): metric for metric in metrics}


_KNOWN = _flat("c", AIRFLOW_COUNTERS) | _flat("g", AIRFLOW_GAUGES) | _flat("ms", AIRFLOW_TIMERS)
