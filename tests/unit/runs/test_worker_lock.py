"""Two workers that want one run."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from voxmill.errors import UsageError
from voxmill.runs.run import Run
from voxmill.runs.worker_lock import is_held, worker_lock


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / ".git").mkdir()
    return Run("digits", "one", tmp_path)


class Holder(threading.Thread):
    """Another worker: locks are held by open files, so a thread is as good as a process."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run_held, self.taken, self.let_go = run, threading.Event(), threading.Event()
        self.start()
        assert self.taken.wait(10)

    def run(self) -> None:
        with worker_lock(self.run_held):
            self.taken.set()
            self.let_go.wait(10)


def test_a_person_is_told_at_once_who_holds_the_run(run: Run) -> None:
    """Rule: process id and since when are in the message."""
    holder = Holder(run)
    try:
        assert is_held(run)
        with pytest.raises(UsageError, match=r"another worker is at it \(process \d+, since 20"):
            worker_lock(run).__enter__()
    finally:
        holder.let_go.set()
        holder.join()
    assert not is_held(run)


def test_a_task_waits_for_the_other_worker(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Rule: it goes on as soon as the other is done, and its log says once whom it waited for."""
    holder = Holder(run)
    threading.Timer(1.5, holder.let_go.set).start()
    started = time.monotonic()
    with caplog.at_level(logging.INFO), worker_lock(run, wait=True):
        assert time.monotonic() - started > 1.4
        assert is_held(run)
    holder.join()
    [line] = [record.getMessage() for record in caplog.records]
    assert "another worker is at it (process " in line
    assert line.endswith("Waiting for it.")


def test_the_holder_enters_again_freely(run: Run) -> None:
    """Rule: whoever holds the run may call what takes it."""
    with worker_lock(run), worker_lock(run, wait=True), worker_lock(run):
        assert is_held(run)
    assert not is_held(run)
