"""Learning curves: read as train wrote them, thinned without hiding their course."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxmill.errors import DataError
from voxmill.stages.evaluation.curves import Series, of_metric, read_series, thinned


def write(path: Path, rows: list) -> Path:
    """Writes a journal."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_series_are_parted_by_metric_and_split(tmp_path: Path):
    """Training has no label, validation carries its split; values that were not finite are gaps."""
    path = write(
        tmp_path / "curves.jsonl",
        [
            {"step": 2, "values": {"voxmill_train_loss": 1.5}, "labels": {}},
            {"step": 1, "values": {"voxmill_train_loss": 3.0}, "labels": {}},
            {"step": 3, "values": {"voxmill_train_loss": None}, "labels": {}},
            {
                "step": 2,
                "values": {"voxmill_loss": 2.0, "voxmill_wer_ratio": 0.9},
                "labels": {"split": "validation"},
            },
        ],
    )
    series = read_series(path)
    assert of_metric(series, "loss") == (
        Series("voxmill_loss", "validation", ((2, 2.0),)),
        Series("voxmill_train_loss", "training", ((1, 3.0), (2, 1.5))),
    )
    assert of_metric(series, "wer_ratio") == (
        Series("voxmill_wer_ratio", "validation", ((2, 0.9),)),
    )


def test_each_decoder_has_a_curve_of_its_own(tmp_path: Path):
    """Two branches of one network on one split must not be drawn as one jagged line."""
    rows = [
        {"step": 2, "values": {f"voxmill_{name}wer_ratio": value}, "labels": labels}
        for name, value, labels in (
            ("", 0.4, {"split": "validation"}),
            ("decoder_", 0.5, {"split": "validation", "decoder": "ctc"}),
            ("decoder_", 0.4, {"split": "validation", "decoder": "attention"}),
        )
    ]
    series = read_series(write(tmp_path / "curves.jsonl", rows))
    assert {one.name: one.points for one in of_metric(series, "wer_ratio")} == {
        "validation": ((2, 0.4),),
        "validation, ctc": ((2, 0.5),),
        "validation, attention": ((2, 0.4),),
    }


def test_a_missing_journal_has_no_series(tmp_path: Path):
    """A recipe whose training records nothing still gets its page."""
    assert read_series(tmp_path / "curves.jsonl") == ()


@pytest.mark.parametrize("row", [{"step": 1}, [1], {"step": "x", "values": {"a": 1}}])
def test_a_broken_line_is_named(tmp_path: Path, row: object):
    """Which file, which line."""
    good = {"step": 1, "values": {"a": 1.0}, "labels": {}}
    path = write(tmp_path / "curves.jsonl", [good, row])
    with pytest.raises(DataError, match=r"curves\.jsonl, line 2"):
        read_series(path)


def test_short_series_are_not_thinned():
    """Each validation stays a point of its own."""
    series = Series("m", "validation", tuple((step, 1.0 / (step + 1)) for step in range(200)))
    assert thinned(series) is series


def test_long_series_keep_their_course():
    """A straight line stays straight: means lie on it, in order, from end to end."""
    series = Series("m", "training", tuple((step, 2.0 * step) for step in range(50_000)))
    points = thinned(series).points
    assert 200 <= len(points) <= 240
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert all(value == pytest.approx(2 * step, abs=2) for step, value in points)
    assert points[0][0] < 250
    assert points[-1][0] > 49_750
