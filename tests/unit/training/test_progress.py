"""A live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from voxmill.training.progress import (
    LogProgress,
    StepReport,
    TerminalProgress,
    clock_time,
    progress_for,
)


def report(step: int) -> StepReport:
    return StepReport(
        step=step,
        total_steps=100,
        epoch=1.5,
        loss=0.25,
        learning_rate=1e-3,
        audio_seconds_per_second=321.0,
        eta_seconds=3723.0,
    )


def test_plain_lines_come_every_so_many_seconds_and_not_at_each_step(caplog):
    """Ten steps a second for a minute are three lines with a line each 30 s."""
    caplog.set_level(logging.INFO)
    now = [0.0]
    progress = LogProgress(clock=lambda: now[0], every_seconds=30.0)
    for step in range(601):
        now[0] = step * 0.1
        progress.step(report(step))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert lines[0] == "step 0/100 epoch 1.50 loss 0.2500 lr 0.001 321 s/s eta 1:02:03"


def test_plain_lines_come_every_so_many_steps_where_the_recipe_says_so(caplog):
    """`train.log_every_steps: 50`, however fast the steps are."""
    caplog.set_level(logging.INFO)
    console = Console(file=io.StringIO(), force_terminal=False)
    progress = progress_for(console, lambda: 0.0, every_steps=50)
    for step in range(1, 121):
        progress.step(report(step))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[1] for line in lines] == ["50/100", "100/100"]


def test_a_terminal_shows_loss_error_rate_pace_and_time_to_go():
    """The error rate is that of the last evaluation."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=140)
    progress = progress_for(console, lambda: 0.0)
    assert isinstance(progress, TerminalProgress)
    progress.evaluated(5, {"wer": 0.125, "loss": 0.5})
    progress.step(report(7))
    progress.close()
    shown = stream.getvalue()
    for part in ("loss 0.250", "WER 12.5 %", "321 s/s", "eta 1:02:03", "7/100", "step 5: loss"):
        assert part in shown


def test_a_file_or_pipe_gets_plain_lines():
    """No control characters in logs."""
    console = Console(file=io.StringIO())
    assert isinstance(progress_for(console, lambda: 0.0), LogProgress)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3723, "1:02:03"), (float("nan"), "-"), (-1, "-")],
)
def test_times_read_like_a_clock(seconds, text):
    """A dash where nothing is known."""
    assert clock_time(seconds) == text
