"""What is known of one metric: name, type, unit, help, labels and who says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["journal", "run", "recipe", "release", "host", "exporter", "foreign"]
"""Who says it.

`journal`: stages, while they work. All others are the exporter's: `run` from the files of a run,
`recipe` from all runs of a recipe, `release` from the registry, `host` from the machine,
`exporter` of itself; `foreign` comes from Airflow, Prometheus and Alertmanager.
"""
Type = Literal["gauge", "counter", "summary"]

NAMED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A label value that a recipe, a registry or a machine declares: a name, never a path or a text."""

_ADDED: Mapping[str, tuple[str, ...]] = {
    "journal": ("recipe", "run"),
    "run": ("recipe", "run"),
    "recipe": ("recipe",),
    "release": ("recipe",),
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric as dashboards and alerts know it."""

    name: str
    type: Type
    unit: str
    """Base unit; `1` for a bare number."""
    help: str
    scope: Scope
    labels: tuple[str, ...] = ()
    """Its own; see `exported_labels` for those that Prometheus sees."""
    closed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Allowed values where they are this metric's alone, such as the states of a run."""

    @property
    def exported_labels(self) -> tuple[str, ...]:
        """All labels that Prometheus sees: the exporter knows recipe and run from the folders."""
        return (*_ADDED.get(self.scope, ()), *self.labels)

    @property
    def sample_names(self) -> tuple[str, ...]:
        """Names of its series; a summary has two."""
        if self.type == "summary":
            return (f"{self.name}_count", f"{self.name}_sum")
        return (self.name,)


@dataclass(frozen=True)
class Namer:
    """Makes the metrics of one scope, so that a table of them reads as a table."""

    scope: Scope
    prefix: str = "voxmill_"

    def gauge(
        self, name: str, unit: str, text: str, *labels: str, **closed: frozenset[str]
    ) -> Metric:
        """A value that goes up and down."""
        return self._metric("gauge", name, unit, text, labels, closed)

    def counter(
        self, name: str, unit: str, text: str, *labels: str, **closed: frozenset[str]
    ) -> Metric:
        """A value that only grows."""
        return self._metric("counter", name, unit, text, labels, closed)

    def summary(
        self, name: str, unit: str, text: str, *labels: str, **closed: frozenset[str]
    ) -> Metric:
        """Events with a size: how many, and their sum."""
        return self._metric("summary", name, unit, text, labels, closed)

    def _metric(
        self,
        kind: Type,
        name: str,
        unit: str,
        text: str,
        labels: tuple[str, ...],
        closed: Mapping[str, frozenset[str]],
    ) -> Metric:
        return Metric(
            name=f"{self.prefix}{name}",
            type=kind,
            unit=unit,
            help=text,
            scope=self.scope,
            labels=(*labels, *closed),
            closed=closed,
        )
