"""What the generated dashboards ask Prometheus, with their variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).resolve().parents[2] / "monitoring" / "grafana" / "dashboards"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

_BUILT_IN = {"__rate_interval": "1m", "__interval": "1m", "__range": "1h"}
_USED = re.compile(r"\$(?:\{(\w+)(?:\.[\w.]+)?(?::\w+)?\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One expression, and what its answer must have."""

    where: str
    kind: Literal["panel", "variable", "annotation"]
    expression: str
    legend: str = ""
    labels: frozenset[str] = frozenset()
    """Labels that each series must have."""


def read(name: str) -> dict[str, Any]:
    """A dashboard as it is checked in."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels but the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(dashboard["templating"]["list"])


def variables_used(text: str) -> set[str]:
    """Names of the variables that a text speaks of, Grafana's own left out."""
    names = {braced or bare for braced, bare in _USED.findall(text)}
    return {name for name in names if not name.startswith("__")}


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its variables replaced, as Grafana does it."""
    known = {**_BUILT_IN, **values}
    return _USED.sub(lambda found: known[found.group(1) or found.group(2)], text)


def questions(name: str, values: Mapping[str, str]) -> list[Question]:
    """Everything that a dashboard asks."""
    return list(_questions(name, read(name), values))


def _questions(
    name: str, dashboard: Mapping[str, Any], values: Mapping[str, str]
) -> Iterator[Question]:
    from toys.promql import legend_labels

    for variable in variables(dashboard):
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert found, variable["query"]
            yield Question(
                where=f"{name}: ${variable['name']}",
                kind="variable",
                expression=filled(found.group(1), values),
                labels=frozenset({found.group(2)}),
            )
    for panel in panels(dashboard):
        for target in panel["targets"]:
            legend = target.get("legendFormat", "")
            yield Question(
                where=f"{name}: {panel['title']}, {target['refId']}",
                kind="panel",
                expression=filled(target["expr"], values),
                legend=legend,
                labels=legend_labels(legend),
            )
    for annotation in dashboard.get("annotations", {}).get("list") or ():
        if "expr" in annotation:
            yield Question(
                where=f"{name}: {annotation['name']}",
                kind="annotation",
                expression=filled(annotation["expr"], values),
                legend=annotation["titleFormat"],
                labels=legend_labels(annotation["titleFormat"]),
            )
