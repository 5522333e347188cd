"""Tasks that Airflow ends, and workers that are killed: the job is never lost with them.

The task's process, its supervisor and the five seconds between SIGTERM and SIGKILL are Airflow's
own; the stage is a real process that a real launcher started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toys.airflow_server import toy_project_with_dags
from toys.toy_project import ToyProject

TESTS = Path(__file__).resolve().parents[1]
RUN = "manual__2026-11-21T03:00:00+00:00"


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[ToyProject]:
    """A project whose first stage takes long, and has long to save."""
    toy = toy_project_with_dags(tmp_path / "toy")
    snapshot = json.loads((toy.root / "pipeline.json").read_text())
    snapshot["recipes"]["digits"]["stages"]["ingest"]["meta"]["grace_seconds"] = 300
    (toy.root / "pipeline.json").write_text(json.dumps(snapshot))
    toy.git("commit", "--quiet", "--all", "--message=Give it time")
    toy.order("ingest.sleep", 600)
    yield toy
    for order in ("ingest.sleep", "ingest.saving"):  # a job that is left over ends
        (toy.control / order).unlink(missing_ok=True)


class Try:
    """One try of a task under Airflow's supervisor."""

    def __init__(self, toy: ToyProject, number: int) -> None:
        self.toy, self.number = toy, number
        self.home = toy.root.parent / "airflow"
        environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        arguments = (toy.root, self.home, "digits", RUN, "ingest", number, toy.control)
        self.output = toy.root.parent / f"try.{number}.txt"
        with self.output.open("w") as file:  # no pipe: an orphan would hold it open
            self.process = subprocess.Popen(
                [sys.executable, TESTS / "toys" / "supervised_task.py", *map(str, arguments)],
                env=environ | {"PYTHONPATH": str(TESTS)},
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )

    @property
    def task_pid(self) -> int:
        return int((self.toy.control / "task.pid").read_text())

    @property
    def log(self) -> list[dict]:
        path = self.home / "logs" / "digits" / f"ingest.{self.number}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def states(self) -> list[str]:
        """Every state that it reported, when it is over."""
        code = self.process.wait(timeout=120)
        out = self.output.read_text()
        assert code == 0, out[-4000:]
        return [report["state"] for report in json.loads(out.splitlines()[-1])]

    def wait_for_job(self, launches: int) -> None:
        self.wait(lambda: self.toy.launches("ingest") >= launches, "its job")

    def wait_for_line(self, words: str) -> None:
        self.wait(lambda: any(words in line["event"] for line in self.log), words)

    def wait(self, reached, what: str) -> None:
        deadline = time.monotonic() + 120
        while not reached():
            ended = self.process.poll() is not None and what != "its end"
            assert not ended, self.output.read_text()[-4000:]
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.log[-5:]}"
            time.sleep(0.05)


@contextmanager
def one_try(toy: ToyProject, number: int) -> Iterator[Try]:
    tried = Try(toy, number)
    try:
        yield tried
    finally:
        if tried.process.poll() is None:
            os.killpg(tried.process.pid, signal.SIGKILL)
        if (toy.control / "task.pid").exists() and is_running(tried.task_pid):
            os.kill(tried.task_pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_job_that_saves_longer_than_airflow_waits_still_saves(toy: ToyProject) -> None:
    """Rule: SIGKILL five seconds after SIGTERM ends the task's process, not the job's saving.

    The next try meets the job while it saves, and comes back; the one after it goes on.
    """
    toy.order("ingest.saving")
    with one_try(toy, 1) as first:
        first.wait_for_job(1)
        asked = time.monotonic()
        toy.order("unwanted")
        pid = first.task_pid
        first.wait(lambda: not is_running(pid), "its end")
        seconds = time.monotonic() - asked
        assert seconds > 5, "it was not Airflow's SIGKILL that ended it"
        assert not (toy.control / "ingest.saved").exists()
        first.states()
    (toy.control / "unwanted").unlink()
    with one_try(toy, 2) as second:
        second.wait_for_line("attached to the job of try 1")
        (toy.control / "ingest.saving").unlink()
        assert second.states() == ["up_for_reschedule"]
        assert (toy.control / "ingest.saved").exists()
    (toy.control / "ingest.sleep").unlink()
    with one_try(toy, 3) as third:
        assert third.states() == ["success"]
    assert toy.launches("ingest") == 2
    assert_lines_say_whose_they_are(third.log)


def assert_lines_say_whose_they_are(log: list[dict]) -> None:
    """Rule: recipe, run and stage are fields of the JSON lines, so that logs can be searched."""
    ours = [line for line in log if line.get("logger", "").startswith("voxmill.")]
    assert ours
    for line in ours:
        assert line["recipe"] == "digits"
        assert line["run"] == "manual-2026-11-21t03-00-00-00-00"
        assert line["stage"] == "ingest"


def test_a_job_outlives_a_killed_worker_and_the_next_try_attaches(toy: ToyProject) -> None:
    """Rule: kill -9 of supervisor and task costs nothing; nothing is started twice."""
    with one_try(toy, 1) as first:
        first.wait_for_job(1)
        pid = first.task_pid
        first.process.kill()
        os.kill(pid, signal.SIGKILL)
        first.process.wait()
    with one_try(toy, 2) as second:
        second.wait_for_line("attached to the job of try 1")
        (toy.control / "ingest.sleep").unlink()
        assert second.states() == ["success"]
    assert toy.launches("ingest") == 1


def test_a_try_waits_for_an_older_one_whose_supervisor_alone_was_killed(toy: ToyProject) -> None:
    """Rule: such a task's process lives on and holds the run; that is no reason to fail."""
    with one_try(toy, 1) as first:
        first.wait_for_job(1)
        orphan = first.task_pid
        first.process.kill()
        first.process.wait()
        assert is_running(orphan)
        with one_try(toy, 2) as second:
            second.wait_for_line("another worker is at it")
            (toy.control / "ingest.sleep").unlink()
            assert second.states() == ["success"]
    assert toy.launches("ingest") == 1
