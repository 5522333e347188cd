"""Charts are geometry that can be checked without a browser."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxmill.stages.evaluation.charts import Chart, line_chart, nice_ticks
from voxmill.stages.evaluation.curves import Series

POINTS = st.lists(
    st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6)),
    min_size=1,
    max_size=30,
    unique_by=lambda point: point[0],
)


def chart(*series: Series) -> Chart | None:
    """A chart with plain numbers."""
    return line_chart("Loss", series, text=str, tick=str)


def of(points: list, name: str = "validation") -> Series:
    """A series of those points."""
    return Series("voxmill_loss", name, tuple(sorted(points)))


@given(POINTS)
@example([(0, 5e-324)])
@example([(0, 5e-324), (1, 1.0)])
@settings(max_examples=200, deadline=None)
def test_every_point_lies_inside_the_frame(points: list):
    """Whatever was recorded, nothing is drawn outside."""
    drawn = chart(of(points))
    assert drawn is not None
    for x, y in drawn.lines[0].dots:
        assert drawn.left <= x <= drawn.right
        assert drawn.top <= y <= drawn.bottom
    for tick in drawn.y_ticks:
        assert drawn.top - 0.1 <= tick.at <= drawn.bottom + 0.1


def test_higher_values_stand_higher_and_later_steps_further_right():
    """The orientation that everybody expects."""
    drawn = chart(of([(0, 5.0), (10, 1.0)]))
    assert drawn is not None
    (x0, y0), (x1, y1) = drawn.lines[0].dots
    assert x0 < x1
    assert y0 < y1  # SVG counts downwards


def test_the_lowest_validation_value_is_marked():
    """Of equal ones the first: that is the checkpoint that was kept."""
    drawn = chart(of([(0, 5.0), (10, 1.0), (20, 1.0)]), of([(0, 0.5), (20, 0.1)], "training"))
    assert drawn is not None
    assert drawn.best is not None
    assert drawn.best in drawn.lines[1].dots
    assert drawn.note == "lowest on validation: 1.0 at step 10; logarithmic scale"


def test_training_comes_first_whatever_its_metric_is_called():
    """The legend reads in the order of cause and effect."""
    drawn = chart(of([(0, 1.0)]), of([(0, 2.0)], "training"))
    assert drawn is not None
    assert [line.name for line in drawn.lines] == ["training", "validation"]


def test_a_wide_range_is_drawn_on_a_logarithmic_scale():
    """From 3 to 0.03 the steps from 3 to 0.3 and from 0.3 to 0.03 are equally high."""
    drawn = chart(of([(0, 3.0), (1, 0.3), (2, 0.03)]))
    assert drawn is not None
    (_, top), (_, middle), (_, bottom) = drawn.lines[0].dots
    assert bottom - middle == pytest.approx(middle - top, abs=0.2)
    assert [tick.label for tick in drawn.y_ticks] == ["0.03", "0.1", "0.3", "1.0", "3.0"]


def test_a_narrow_range_starts_at_zero():
    """A truncated axis would make a small gain look large."""
    drawn = chart(of([(0, 0.9), (1, 0.8)]))
    assert drawn is not None
    assert drawn.y_ticks[0].label == "0.0"
    assert drawn.y_ticks[0].at == drawn.bottom


def test_without_a_finite_value_there_is_no_chart():
    """NaN has no place on paper."""
    assert chart() is None
    assert chart(of([(0, math.nan), (1, math.inf)])) is None


def test_tooltips_know_the_true_values():
    """What the pointer shows is what was recorded, not what the pixels say."""
    drawn = chart(of([(0, 5.0), (10, 1.25)]))
    assert drawn is not None
    (series,) = json.loads(drawn.data)
    assert [point[2:] for point in series["points"]] == [[0, "5.0"], [10, "1.25"]]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@settings(max_examples=100, deadline=None)
def test_ticks_are_few_even_and_inside(low: float, width: float):
    """Between two and a dozen round numbers, evenly apart."""
    high = low + width
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 8
    assert all(low - width * 1e-3 <= tick <= high + width * 1e-3 for tick in ticks)


def test_a_curve_of_nothing_but_zeros_lies_on_the_floor():
    """A perfect error rate from the first step on is no reason to divide by zero."""
    drawn = chart(of([(0, 0.0), (1, 0.0)]))
    assert drawn is not None
    assert {y for _, y in drawn.lines[0].dots} == {drawn.bottom}
