"""What a person sees of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from voxmill.exporting.gpus import GpuReading
from voxmill.exporting.journal_tail import Newest
from voxmill.exporting.log_tail import last_lines
from voxmill.exporting.run_view import JournalView, RunView, StageView
from voxmill.exporting.terminal import Scene, change_mark, clock_time, picture, plain_line

NOW = 1_800_000_000.0
VALIDATION = (("split", "validation"),)
TOLD = {
    ("voxmill_train_step", ()): 500.0,
    ("voxmill_train_total_steps", ()): 2000.0,
    ("voxmill_train_epoch", ()): 2.5,
    ("voxmill_train_eta_seconds", ()): 3725.0,
    ("voxmill_train_loss", ()): math.nan,
    ("voxmill_train_learning_rate", ()): 0.0005,
    ("voxmill_train_audio_seconds_per_second", ()): 210.0,
    ("voxmill_train_data_wait_ratio", ()): 0.02,
    ("voxmill_checkpoint_step", ()): 480.0,
    ("voxmill_wer_ratio", VALIDATION): 0.123,
    ("voxmill_loss", VALIDATION): 1.25,
}


def scene(**changes) -> Scene:
    journal = JournalView(
        newest={key: Newest(value, 480, NOW - 35) for key, value in TOLD.items()},
        restarts=1,
        lost_steps=40,
    )
    stages = (
        StageView(name="ingest", state="done", started=NOW - 900, seconds=12.0, restored=True),
        StageView(name="audit", state="done", seconds=65.0, checks={"failed": 2, "waived": 0}),
        StageView(name="train", state="running", started=NOW - 300, seconds=300.0, attempts=2),
        StageView(name="package", state="pending"),
    )
    view = RunView(
        recipe="digits",
        id="one",
        folder=Path("/runs/digits/one"),
        state="running",
        opened=NOW - 1000,
        ended=None,
        last_change=NOW,
        stages=stages,
        journal=journal,
    )
    return Scene(view=view, now=NOW, **changes)


def drawn(shown: Scene, width: int = 100) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(picture(shown))
    return capture.get()


def test_the_picture_tells_stages_progress_figures_gpus_and_log():
    """Ten seconds are enough to know how it goes."""
    gpus = (
        GpuReading(index="0", up=True, utilisation=0.93, power_watts=312.0, xid_errors=2),
        GpuReading(index="1", up=False),
    )
    text = drawn(scene(gpus=gpus, log=("the last word [red]",)))
    for part in (
        "digits/one running",
        "restored",
        "2 failed checks",
        "25%",
        "500/2000",
        "ETA              1:02:05",
        "nan",
        "12.3%",
        "210 s",
        "step 480, 35 s ago",
        "1, 40 steps done again",
        "GPU 0  93%  312 W  2 XID errors",
        "GPU 1  does not answer",
        "the last word [red]",
        "opened 16:40 ago",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_picture_keeps_within_the_terminal(width):
    """A line that wraps would tear the frame."""
    shown = scene(log=("x" * 500,))
    assert all(len(row) <= width for row in drawn(shown, width).splitlines())


def test_the_plain_line_is_one_line():
    """For files and pipes, with the same figures."""
    line = plain_line(scene())
    assert "\n" not in line
    for part in ("digits/one", "train running", "step 500/2000", "WER 12.3%"):
        assert part in line


def test_a_step_is_no_news_but_an_evaluation_is():
    """A pipe would else get a line a second."""
    one, other = scene().view, scene().view
    assert change_mark(one) == change_mark(other)
    newest = {**one.journal.newest, ("voxmill_train_step", ()): Newest(501, 501, NOW)}
    from dataclasses import replace

    stepped = replace(one, journal=replace(one.journal, newest=newest))
    assert change_mark(stepped) == change_mark(one)
    newest = {**newest, ("voxmill_loss", VALIDATION): Newest(1.0, 501, NOW)}
    evaluated = replace(one, journal=replace(one.journal, newest=newest))
    assert change_mark(evaluated) != change_mark(one)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (3725, "1:02:05"),
        (273_000, "3 d 03:50"),
        (-5, "0 s"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_times_read_as_clocks_do(seconds, text):
    """Nobody divides by 60 in the head."""
    assert clock_time(seconds) == text


def test_a_log_reads_as_it_would_stand_on_a_terminal(tmp_path):
    """Bars that wrote over themselves, colours, empty lines, half a character at the cut."""
    path = tmp_path / "log"
    assert last_lines(path, 5) == []
    path.write_bytes(
        "ä".encode() * 20_000
        + b"\n2026-11-21 12:00:01,250 INFO step 1\n\n\x1b[31mred\x1b[0m\r\n 1 %\r 50 %\rdone\n"
    )
    assert last_lines(path, 3) == ["12:00:01 step 1", "red", "done"]
    event = {
        "time": "2026-11-21T12:00:02.250Z",
        "level": "ERROR",
        "message": "no",
        "exception": "T\nE",
    }
    with path.open("a") as file:
        file.write(json.dumps(event) + "\n")
    assert [line[-8:] for line in last_lines(path, 3)] == ["ERROR no", "T", "E"]
