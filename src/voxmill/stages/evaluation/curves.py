"""The learning curves of train: series of points by metric and split, thinned for display."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.errors import DataError

_MOST_POINTS = 240
"""More than that cannot be told apart on a chart of 560 pixels."""


@dataclass(frozen=True)
class Series:
    """One metric of one split over the steps of training."""

    metric: str
    name: str
    """`training`, `validation` or another split; with its decoder where it is of one:
    `validation, attention`."""
    points: tuple[tuple[int, float], ...]
    """(step, value) in ascending order of steps."""


def read_series(path: Path) -> tuple[Series, ...]:
    """Every series of a journal; empty where nothing was recorded.

    Args:
        path: JSONL of {step, values, labels}; it need not exist. A value that was not finite
            stands there as null and is left out.

    Raises:
        DataError: A line is no journal line.
    """
    if not path.is_file():
        return ()
    found: dict[tuple[str, str], dict[int, float]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                _collect(json.loads(line), found)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{path}, line {number}: expected {{step, values, labels}} ({error!r}). "
                    "Run train again."
                ) from error
    return tuple(
        Series(metric, name, tuple(sorted(points.items())))
        for (metric, name), points in sorted(found.items())
    )


def of_metric(series: Iterable[Series], *words: str) -> tuple[Series, ...]:
    """The series whose metric's name ends in one of the words, such as `loss`."""
    return tuple(one for one in series if one.metric.endswith(words))


def thinned(series: Series) -> Series:
    """The series with at most a few hundred points: means of equal stretches of steps.

    Short series stay as they are, so that every single validation shows.
    """
    if len(series.points) <= _MOST_POINTS:
        return series
    first, last = series.points[0][0], series.points[-1][0]
    stretches: dict[int, list[tuple[int, float]]] = {}
    for step, value in series.points:
        stretch = (step - first) * _MOST_POINTS // (last - first + 1)
        stretches.setdefault(stretch, []).append((step, value))
    means = tuple(_mean(stretches[stretch]) for stretch in sorted(stretches))
    return Series(series.metric, series.name, means)


def _mean(points: list[tuple[int, float]]) -> tuple[int, float]:
    step = round(sum(step for step, _ in points) / len(points))
    return step, sum(value for _, value in points) / len(points)


def _collect(line: Any, found: dict[tuple[str, str], dict[int, float]]) -> None:
    labels = line.get("labels") or {}
    for metric, value in line["values"].items():
        if value is not None:
            key = metric, _name(labels)
            found.setdefault(key, {})[int(line["step"])] = float(value)


def _name(labels: Mapping[str, str]) -> str:
    split = labels.get("split", "train")
    name = "training" if split == "train" else split
    return f"{name}, {labels['decoder']}" if "decoder" in labels else name
