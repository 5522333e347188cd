"""What a PromQL expression asks for, and whether the catalogue has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

from voxmill.observability.catalogue import CATALOGUE

TARGET_LABELS = frozenset({"job", "instance"})
"""Prometheus puts them on whatever it scrapes."""
ALERT_LABELS = frozenset({"recipe", "run", "stage", "gpu", "place", "dag_id"})
"""What alerts carry on from what they look at."""
_LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Selected:
    """One selector of an expression: a metric, and the labels that it is narrowed by."""

    metric: str
    labels: frozenset[str]


def selectors(expression: str) -> list[Selected]:
    """Every selector of an expression, from left to right."""
    found: list[Selected] = []

    def visit(node: object) -> None:
        if isinstance(node, promql.VectorSelector):
            names = {matcher.name for matcher in node.matchers.matchers}
            found.append(Selected(node.name or "", frozenset(names)))

    promql.walk(promql.parse(expression), visit)
    return found


def grouped_labels(expression: str) -> frozenset[str]:
    """Labels that the expression groups, joins or carries over by."""
    found: set[str] = set()

    def visit(node: object) -> None:
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.AggregateExpr) and modifier:
            found.update(modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and modifier:
            found.update(modifier.matching.labels if modifier.matching else ())
            found.update(modifier.group_labels or ())

    promql.walk(promql.parse(expression), visit)
    return frozenset(found)


def legend_labels(legend: str) -> frozenset[str]:
    """Labels that a Grafana legend such as `{{split}}` shows."""
    return frozenset(_LEGEND_LABEL.findall(legend))


def mistakes(expression: str, recorded: Mapping[str, frozenset[str]] | None = None) -> list[str]:
    """What the catalogue does not have of an expression's metrics and labels.

    Args:
        expression: PromQL, without Grafana's variables.
        recorded: Labels by name of the recording rules that the expression may use.
    """
    rules = recorded or {}
    return list(_mistakes(expression, {**known_labels(), **rules}))


def known_labels() -> dict[str, frozenset[str]]:
    """Labels by name of every series that the catalogue promises."""
    found = {
        name: frozenset(metric.exported_labels) | TARGET_LABELS
        for metric in CATALOGUE.values()
        for name in metric.sample_names
    }
    return {**found, "ALERTS": found["ALERTS"] | ALERT_LABELS}


def _mistakes(expression: str, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    asked = selectors(expression)
    there: set[str] = set()
    for selected in asked:
        if selected.metric not in known:
            yield f"{selected.metric or 'a selector without a name'}: not in the catalogue"
            continue
        there |= known[selected.metric]
        for label in sorted(selected.labels - known[selected.metric]):
            yield f"{selected.metric}: has no label {label}"
    # Labels that functions such as label_replace make are named in the expression itself.
    for label in sorted(grouped_labels(expression) - there):
        if f'"{label}"' not in expression:
            yield f"{label}: none of the metrics has this label"
