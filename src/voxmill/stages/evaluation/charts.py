"""Line charts as plain geometry: the template only writes down what stands here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from voxmill.stages.evaluation.curves import Series, thinned

WIDTH, HEIGHT = 560, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 14, 34
_LOG_FROM_RATIO = 30
"""A CTC loss falls by two orders of magnitude: on a linear axis the interesting end is flat."""
_AS_GOOD_AS_ZERO = 1e-12
_DOTS_UP_TO = 60
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A label on an axis and where it stands, in pixels of the view box."""

    label: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve."""

    name: str
    kind: str
    """`training` or `other`: picks colour and dash."""
    path: str
    """Points of an SVG polyline."""
    dots: tuple[tuple[float, float], ...]
    """Where single measurements stand; empty for dense curves."""
    last: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of one metric over the steps of training."""

    title: str
    note: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    best: tuple[float, float] | None
    """The lowest validation value, in pixels."""
    data: str
    """JSON of [{name, points: [[x, y, step, value as text]]}] for the tooltip."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    text: Callable[[float], str],
    tick: Callable[[float], str],
) -> Chart | None:
    """Draws series over the same steps; None where there is no finite point.

    Args:
        title: What the vertical axis shows.
        series: Training and validation series of one metric.
        text: Writes a measured value.
        tick: Writes a round value on the axis.
    """
    ordered = sorted(series, key=lambda one: (one.name != "training", one.name))
    shown = [one for one in map(_finite, map(thinned, ordered)) if one.points]
    if not shown:
        return None
    scale = _Scale(shown)
    lines = tuple(_line(one, scale, text) for one in shown)
    best = _best(shown)
    lowest = f"lowest on validation: {text(best[1])} at step {best[0]}" if best else ""
    log = "logarithmic scale" if scale.log else ""
    return Chart(
        title=title,
        note="; ".join(part for part in (lowest, log) if part),
        lines=lines,
        x_ticks=tuple(Tick(label=f"{t:g}", at=scale.x(t)) for t in scale.x_ticks()),
        y_ticks=tuple(Tick(label=tick(t), at=scale.y(t)) for t in scale.y_ticks()),
        best=(scale.x(best[0]), scale.y(best[1])) if best else None,
        data=_tooltip_data(shown, scale, text),
    )


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` to `high`, both ends covered where they are round."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in _STEPS if factor * magnitude >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


class _Scale:
    """From steps and values to pixels; the vertical axis is logarithmic where that helps."""

    def __init__(self, series: Sequence[Series]) -> None:
        steps = [step for one in series for step, _ in one.points]
        values = [value for one in series for _, value in one.points]
        lowest = min(values)
        self.log = lowest > _AS_GOOD_AS_ZERO and max(values) > _LOG_FROM_RATIO * lowest
        self._steps = 0, max(*steps, 1)
        self._values = _range(values, log=self.log)

    def x(self, step: float) -> float:
        low, high = self._steps
        return round(_LEFT + (step - low) / (high - low) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = map(self._bend, self._values)
        share = (self._bend(value) - low) / (high - low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)

    def x_ticks(self) -> list[float]:
        return [tick for tick in nice_ticks(*self._steps) if tick == int(tick)]

    def y_ticks(self) -> list[float]:
        low, high = self._values
        if not self.log:
            return nice_ticks(low, high)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [tick for tick in _log_ticks(decades) if low <= tick <= high]

    def _bend(self, value: float) -> float:
        return math.log10(value) if self.log else value


def _range(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    if log:
        return _tick_below(min(values)), max(values)
    low, high = min(0.0, *values), max(0.0, *values)
    return low, high if high - low > _AS_GOOD_AS_ZERO else low + 1.0


def _log_ticks(decades: Iterable[int]) -> list[float]:
    return [float(f"{factor}e{decade}") for decade in decades for factor in (1, 3)]


def _tick_below(value: float) -> float:
    decade = math.floor(math.log10(value))
    return max(tick for tick in _log_ticks([decade - 1, decade]) if tick <= value)


def _finite(series: Series) -> Series:
    points = tuple(point for point in series.points if math.isfinite(point[1]))
    return Series(series.metric, series.name, points)


def _line(series: Series, scale: _Scale, text: Callable[[float], str]) -> Line:
    pixels = [(scale.x(step), scale.y(value)) for step, value in series.points]
    return Line(
        name=series.name,
        kind="training" if series.name == "training" else "other",
        path=" ".join(f"{x:g},{y:g}" for x, y in pixels),
        dots=tuple(pixels) if len(pixels) <= _DOTS_UP_TO else (),
        last=text(series.points[-1][1]),
    )


def _best(series: Sequence[Series]) -> tuple[int, float] | None:
    points = [point for one in series if one.name == "validation" for point in one.points]
    return min(points, key=lambda point: (point[1], point[0])) if points else None


def _tooltip_data(series: Sequence[Series], scale: _Scale, text: Callable[[float], str]) -> str:
    return json.dumps(
        [
            {
                "name": one.name,
                "points": [[scale.x(s), scale.y(v), s, text(v)] for s, v in one.points],
            }
            for one in series
        ],
        separators=(",", ":"),
    )
