"""`voxmill watch` from outside: in a pipe, in a terminal, with and without a run's name."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from toys.monitored_run import MonitoredRun
from toys.toy_project import ToyProject, make_project

WATCH = [sys.executable, "-m", "voxmill.cli.main", "watch"]


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def watch(toy: ToyProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WATCH, *arguments],
        cwd=toy.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def training(toy: ToyProject, run_id: str = "now") -> MonitoredRun:
    run = MonitoredRun.open(toy, run_id)
    run.done("ingest")
    run.begin("train", seconds_ago=150)
    plan = {"voxmill_train_resumed_step": 0.0, "voxmill_train_total_steps": 200.0}
    run.journal(plan, step=0)
    run.journal({"voxmill_train_step": 50.0, "voxmill_train_loss": 1.25}, step=50)
    return run


def test_a_real_run_is_told_line_by_line_until_it_ends(toy: ToyProject) -> None:
    """Without a terminal: one line for each change, and then it leaves."""
    toy.order("train.sleep", 2)
    run = toy.open("one")
    worker = threading.Thread(target=toy.run_all, args=(run,))
    worker.start()
    done = watch(toy, "digits/one", "--seconds", "0.1")
    worker.join()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("train running" in line for line in lines)
    assert lines[-1].endswith("digits/one  finished  evaluate done")
    assert len(lines) == len({line.partition("  ")[2] for line in lines}), lines


def test_without_a_name_the_newest_run_going_on_is_shown(toy: ToyProject) -> None:
    """Ended ones are passed over."""
    training(toy)
    ended = MonitoredRun.open(toy, "ended", seconds_ago=1)
    ended.end("ingest", "failed", exit_code=65)
    done = watch(toy, "--once")
    assert done.returncode == 0, done.stderr
    for part in ("digits/now running", "train", "50/200", "25%", "1.25"):
        assert part in done.stdout


def test_with_no_run_going_on_it_says_which_there_is(toy: ToyProject) -> None:
    """Exit code 64, and what to type."""
    assert "there is none yet" in watch(toy).stderr
    MonitoredRun.open(toy, "ended").end("ingest", "failed", exit_code=65)
    done = watch(toy)
    assert done.returncode == 64
    assert "digits/ended" in done.stderr


def test_a_run_that_is_deleted_under_it_is_said(toy: ToyProject) -> None:
    """No traceback, no endless wait."""
    run = training(toy)
    process = subprocess.Popen(
        [*WATCH, "now", "--seconds", "0.1"],
        cwd=toy.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "train running" in process.stdout.readline()
    shutil.rmtree(run.folder)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 64
    assert "was deleted" in said


def test_in_a_terminal_the_picture_is_drawn_again_and_ctrl_c_leaves(toy: ToyProject) -> None:
    """The run goes on; only the watcher leaves."""
    run = training(toy)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*WATCH, "--seconds", "0.1"],
        cwd=toy.root,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, "50/200")
        run.journal({"voxmill_train_step": 60.0}, step=60)
        read_until(ours, "60/200")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        os.close(ours)


def read_until(terminal: int, wanted: str) -> None:
    text, deadline = "", time.monotonic() + 60
    while wanted not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text):
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 65_536).decode(errors="replace")
