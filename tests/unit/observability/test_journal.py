"""Journals: cheap to write, whole lines, and one true course over all attempts."""

from __future__ import annotations

import json
import math
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from voxmill.observability.catalogue import UncataloguedMetricError
from voxmill.observability.curves import write_curves
from voxmill.observability.journal import JournalRecorder, next_attempt, read_journal
from voxmill.observability.recorder import SILENT, CompositeRecorder

LOSS = "voxmill_train_loss"
WER = "voxmill_wer_ratio"
RESUMED = "voxmill_train_resumed_step"


def write_attempt(folder: Path, attempt: int, first: int, last: int) -> None:
    """An attempt that went on from `first` and recorded its own number as the loss."""
    with JournalRecorder(folder, attempt=attempt) as journal:
        journal.record({RESUMED: first}, step=first)
        for step in range(first + 1, last + 1):
            journal.record({LOSS: float(attempt)}, step=step)


def losses(folder: Path) -> dict[int, float]:
    return {line.step: line.values[LOSS] for line in read_journal(folder) if LOSS in line.values}


def test_a_line_has_time_attempt_step_values_and_labels_in_sorted_order(tmp_path):
    """One JSON object a line, keys sorted."""
    with JournalRecorder(tmp_path, attempt=3, clock=lambda: 12.3456) as journal:
        journal.record({LOSS: 0.5}, step=7)
        journal.record({WER: 0.25}, step=7, labels={"split": "validation"})
    assert (tmp_path / "3.jsonl").read_text() == (
        '{"attempt": 3, "labels": {}, "step": 7, "time": 12.346, "values": '
        '{"voxmill_train_loss": 0.5}}\n'
        '{"attempt": 3, "labels": {"split": "validation"}, "step": 7, "time": 12.346, "values": '
        '{"voxmill_wer_ratio": 0.25}}\n'
    )


def test_lines_reach_the_file_within_a_second_even_when_nothing_more_is_recorded(tmp_path):
    """A long evaluation must not hide the last step."""
    journal = JournalRecorder(tmp_path, attempt=1)
    journal.record({LOSS: 0.5}, step=1)
    deadline = time.monotonic() + 5
    while not losses(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert losses(tmp_path) == {1: 0.5}
    journal.close()


def test_flush_makes_everything_readable_at_once(tmp_path):
    """What a checkpoint builds on is on disk before it."""
    journal = JournalRecorder(tmp_path, attempt=1, flush_seconds=3600)
    journal.record({LOSS: 0.5}, step=1)
    assert losses(tmp_path) == {}
    journal.flush()
    assert losses(tmp_path) == {1: 0.5}
    journal.close()
    journal.close()


@pytest.mark.parametrize("name", ["voxmill_train_los", "loss"])
def test_a_name_outside_the_catalogue_is_refused_when_it_is_recorded(tmp_path, name):
    """And nothing of it is written."""
    with (
        JournalRecorder(tmp_path, attempt=1) as journal,
        pytest.raises(UncataloguedMetricError, match=name),
    ):
        journal.record({name: 1.0}, step=1)
    assert (tmp_path / "1.jsonl").read_text() == ""


def test_for_one_step_the_highest_attempt_wins_and_what_was_redone_is_left_out(tmp_path):
    """Attempt 1 came to 9, attempt 2 went on from 5 and came to 7: nobody was ever at 8."""
    write_attempt(tmp_path, 1, 0, 9)
    write_attempt(tmp_path, 2, 5, 7)
    assert losses(tmp_path) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2}
    write_attempt(tmp_path, 10, 6, 8)
    assert losses(tmp_path)[6] == 2
    assert losses(tmp_path)[7] == 10
    write_attempt(tmp_path, 11, 0, 2)
    assert losses(tmp_path) == {1: 11, 2: 11}


def test_an_evaluation_done_again_joins_the_step_of_the_earlier_attempt(tmp_path):
    """The step's training loss stays; its figures come from the attempt that has them."""
    write_attempt(tmp_path, 1, 0, 5)
    with JournalRecorder(tmp_path, attempt=2) as journal:
        journal.record({RESUMED: 5}, step=5)
        journal.record({WER: 0.5}, step=5, labels={"split": "validation"})
    at_five = [line for line in read_journal(tmp_path) if line.step == 5]
    assert [(line.attempt, dict(line.labels)) for line in at_five] == [
        (2, {}),
        (2, {"split": "validation"}),
    ]
    assert at_five[0].values[LOSS] == 1


def test_a_half_written_last_line_is_left_out_and_the_next_writer_starts_a_new_one(tmp_path):
    """A kill in the middle of a write costs that line alone."""
    write_attempt(tmp_path, 1, 0, 3)
    path = tmp_path / "1.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert losses(tmp_path) == {1: 1, 2: 1}
    with JournalRecorder(tmp_path, attempt=1) as journal:
        journal.record({LOSS: 4.0}, step=4)
    assert losses(tmp_path) == {1: 1, 2: 1, 4: 4}


@pytest.mark.parametrize("broken", ["{]\n", '{"time": 1, "attempt": 1, "step": 1e999}\n'])
def test_a_broken_line_within_is_named_and_the_rest_is_read(tmp_path, caplog, broken):
    """Damage is never silent."""
    write_attempt(tmp_path, 1, 0, 3)
    lines = (tmp_path / "1.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "1.jsonl").write_text("".join([*lines[:2], broken, *lines[2:]]))
    assert losses(tmp_path) == {1: 1, 2: 1, 3: 1}
    assert "1.jsonl: line 3 cannot be read" in caplog.text


def test_values_that_are_not_finite_stay_visible_in_sound_json(tmp_path):
    """JSON has no NaN: null stands for it. numpy's numbers are numbers."""
    with JournalRecorder(tmp_path, attempt=1) as journal:
        journal.record({LOSS: math.inf}, step=1)
        journal.record({LOSS: np.float32(0.5)}, step=2)
    rows = [json.loads(row, parse_constant=pytest.fail) for row in (tmp_path / "1.jsonl").open()]
    assert [row["values"][LOSS] for row in rows] == [None, 0.5]
    assert math.isnan(losses(tmp_path)[1])
    assert write_curves(read_journal(tmp_path), tmp_path / "curves") == 2
    assert '"voxmill_train_loss": null' in (tmp_path / "curves").read_text()


def test_writers_on_one_file_never_break_each_others_lines(tmp_path):
    """Two recorders and four threads: every line is whole."""
    journals = [JournalRecorder(tmp_path, attempt=1, flush_seconds=0.001) for _ in range(2)]

    def write(journal, start):
        for step in range(start, start + 500):
            journal.record({LOSS: 1.0}, step=step)
            journal.flush()

    threads = [threading.Thread(target=write, args=(journals[n % 2], 1000 * n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for journal in journals:
        journal.close()
    rows = (tmp_path / "1.jsonl").read_text().splitlines()
    assert len(rows) == 2000
    assert len({json.loads(row)["step"] for row in rows}) == 2000


def test_the_next_attempt_is_one_more_than_the_highest(tmp_path):
    """By number, not by name."""
    assert next_attempt(tmp_path / "none") == 1
    for attempt in (9, 10):
        JournalRecorder(tmp_path, attempt=attempt).close()
    assert next_attempt(tmp_path) == 11


def test_a_composite_passes_everything_on_and_silence_takes_it(tmp_path):
    """Callers never ask whether there is a recorder."""
    with JournalRecorder(tmp_path / "a", attempt=1, flush_seconds=99) as one:
        both = CompositeRecorder([SILENT, one])
        both.record({LOSS: 0.5}, step=1)
        both.flush()
        assert losses(tmp_path / "a") == {1: 0.5}


@contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the small file system")
def test_a_full_disk_costs_no_run_and_lines_follow_when_there_is_room(tmp_path, caplog):
    """One warning; no line is torn or lost."""
    disk = tmp_path / "disk"
    with small_disk(disk, "64k"):
        filler = disk / "filler"
        journal = JournalRecorder(disk / "journal", attempt=1, flush_seconds=3600)
        filler.write_bytes(b"x" * (60 * 1024 - os.sysconf("SC_PAGESIZE")))
        for step in range(1, 301):
            journal.record({LOSS: 0.5}, step=step)
            if step % 50 == 0:
                journal.flush()
        assert len(losses(disk / "journal")) < 300
        filler.unlink()
        journal.flush()
        assert sorted(losses(disk / "journal")) == list(range(1, 301))
        assert caplog.text.count("cannot be written") == 1
        journal.close()
