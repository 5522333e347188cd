"""What every launcher promises, with toy jobs; a new one joins by a class with two fixtures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from voxmill.launchers.launcher import Launcher, StageRun

Emit = Callable[[str], None]
Make = Callable[[str, Emit], Launcher]
"""Makes a launcher whose jobs run this Python source, with out and work as arguments."""
WAITS_FOR_GO = """
import sys, time
from pathlib import Path
out, work = map(Path, sys.argv[1:])
with (work / "starts").open("a") as file: file.write("x")
for number in range(3): print("early", number, flush=True)
while not (work / "go").exists(): time.sleep(0.01)
for number in range(3): print("late", number, flush=True)
(out / "made").write_text("by this job")
"""
SAVES_ON_SIGTERM = """
import signal, sys, time
from pathlib import Path
def save(*_):
    Path(sys.argv[2], "checkpoint").write_text("saved")
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(30)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(30)
"""


class DeadLauncherError(Exception):
    """Stands for the end of the process that a launcher lives in."""


def dies_at(word: str, seen: list[str]) -> Emit:
    """Takes lines until one starts with `word`, and dies of that one."""

    def emit(line: str) -> None:
        if line.startswith(word):
            raise DeadLauncherError
        seen.append(line)

    return emit


def job_lines(seen: list[str]) -> list[str]:
    return [line for line in seen if line.startswith(("early", "late"))]


ALL_LINES = [f"{when} {number}" for when in ("early", "late") for number in range(3)]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class LauncherContract:
    """Subclasses give the fixtures `make` and `has_ended`."""

    resources: Mapping[str, object] = {}

    @pytest.fixture
    def stage_run(self, tmp_path: Path) -> StageRun:
        recipe = tmp_path / "digits.yaml"
        recipe.write_text("title: toy\n")
        return StageRun(
            run="digits-manual",
            recipe="digits",
            stage="train",
            attempt=1,
            recipe_file=recipe,
            inputs={},
            out=tmp_path / "artifacts" / "train.partial",
            work=tmp_path / "work",
            grace_seconds=5.0,
            resources=self.resources,
        )

    @pytest.fixture
    def await_end(self, has_ended, stage_run) -> Callable[[], None]:
        """Waits until the job has ended, without taking its result."""
        return lambda: wait_until(lambda: has_ended(stage_run))

    def test_a_job_that_ends_well_gives_0_and_each_line_of_its_log_once(self, make, stage_run):
        """Exit code and log reach the caller unchanged."""
        seen: list[str] = []
        (stage_run.work).mkdir()
        (stage_run.work / "go").touch()
        result = make(WAITS_FOR_GO, seen.append).run(stage_run)
        assert (result.exit_code, result.attached) == (0, False)
        assert job_lines(seen) == ALL_LINES
        assert (stage_run.out / "made").read_text() == "by this job"

    @pytest.mark.parametrize("code", [1, 64, 65, 70, 75])
    def test_a_stage_own_exit_code_comes_back_as_it_is(self, make, stage_run, code):
        """Airflow decides by the stage's code, so nothing may change it on its way."""
        result = make(f"raise SystemExit({code})", print).run(stage_run)
        assert result.exit_code == code

    def test_a_job_that_dies_of_a_signal_gives_128_and_its_number(self, make, stage_run):
        """137 for SIGKILL, with a word about memory: it is what a person has to look at first."""
        result = make("import os; os.kill(os.getpid(), 9)", print).run(stage_run)
        assert result.exit_code == 137
        assert "memory" in result.cause

    def test_a_new_job_finds_its_output_folder_empty(self, make, stage_run):
        """What a dead try left behind must not get into the next one's output."""
        stage_run.out.mkdir(parents=True)
        (stage_run.out / "left-behind").write_text("stale")
        source = "import os, sys; raise SystemExit(len(os.listdir(sys.argv[1])))"
        assert make(source, print).run(stage_run).exit_code == 0

    def test_the_next_try_attaches_to_a_job_that_outlived_its_launcher(self, make, stage_run):
        """One job, no line lost, no line twice, and the log says what was attached to."""
        first: list[str] = []
        second: list[str] = []
        with pytest.raises(DeadLauncherError):
            make(WAITS_FOR_GO, dies_at("early 2", first)).run(stage_run)
        threading.Timer(0.3, (stage_run.work / "go").touch).start()
        result = make("raise SystemExit(9)", second.append).run(replace(stage_run, attempt=2))
        assert (result.exit_code, result.attached) == (0, True)
        assert (stage_run.work / "starts").read_text() == "x"
        assert job_lines(first + second) == ALL_LINES
        assert "attached to the job of try 1, " in second[0]

    def test_a_result_that_nobody_took_is_collected_by_the_next_try(
        self, make, stage_run, await_end
    ):
        """A job that ended while nobody watched is not run again."""
        seen: list[str] = []
        with pytest.raises(DeadLauncherError):
            make(WAITS_FOR_GO, dies_at("early 0", [])).run(stage_run)
        (stage_run.work / "go").touch()
        await_end()
        result = make("raise SystemExit(9)", seen.append).run(replace(stage_run, attempt=2))
        assert (result.exit_code, result.attached) == (0, True)
        assert job_lines(seen) == ALL_LINES

    def test_a_result_is_taken_once(self, make, stage_run):
        """After a try has its result, the next try is a new job."""
        assert make("raise SystemExit(3)", print).run(stage_run).exit_code == 3
        again = make("raise SystemExit(4)", print).run(replace(stage_run, attempt=2))
        assert (again.exit_code, again.attached) == (4, False)

    def test_a_job_that_checkpointed_and_left_unseen_is_started_again(
        self, make, stage_run, await_end
    ):
        """Collecting its 75 would only make the caller start it once more."""
        with pytest.raises(DeadLauncherError):
            make("print('x', flush=True); raise SystemExit(75)", dies_at("x", [])).run(stage_run)
        await_end()
        result = make("raise SystemExit(0)", print).run(replace(stage_run, attempt=2))
        assert (result.exit_code, result.attached) == (0, False)

    def test_a_result_of_another_recipe_is_not_collected(self, make, stage_run, await_end):
        """A changed recipe would give another output; the old one must not pass for it."""
        with pytest.raises(DeadLauncherError):
            make("print('x', flush=True)", dies_at("x", [])).run(stage_run)
        await_end()
        stage_run.recipe_file.write_text("title: another\n")
        result = make("raise SystemExit(7)", print).run(replace(stage_run, attempt=2))
        assert (result.exit_code, result.attached) == (7, False)

    def test_stop_lets_the_job_save_and_leave(self, make, stage_run):
        """SIGTERM reaches the job, and its 75 the one who waits for it."""
        launcher: Launcher

        def emit(line: str) -> None:
            if line == "ready":
                launcher.stop(stage_run, grace_seconds=10.0)

        launcher = make(SAVES_ON_SIGTERM, emit)
        assert launcher.run(stage_run).exit_code == 75
        assert (stage_run.work / "checkpoint").read_text() == "saved"

    def test_stop_kills_a_deaf_job_after_the_grace(self, make, stage_run):
        """Nobody waits for ever; the grace is the caller's, not the stage's."""
        launcher: Launcher

        def emit(line: str) -> None:
            if line == "ready":
                launcher.stop(stage_run, grace_seconds=0.3)

        launcher = make(DEAF, emit)
        began = time.monotonic()
        assert launcher.run(stage_run).exit_code == 137
        assert time.monotonic() - began < stage_run.grace_seconds

    def test_stop_without_a_job_does_nothing(self, make, stage_run):
        """Stopping is safe to call at any time."""
        make("", print).stop(stage_run, grace_seconds=1.0)

    def test_a_job_over_its_time_limit_is_asked_to_leave_and_gives_124(self, make, stage_run):
        """Not 75, although it checkpointed: 75 starts again for ever, a time limit has to bite."""
        result = make(SAVES_ON_SIGTERM, print).run(replace(stage_run, timeout_seconds=0.7))
        assert result.exit_code == 124
        assert (stage_run.work / "checkpoint").exists()

    def test_attach_finds_nothing_where_nothing_ran(self, make, stage_run):
        """None says: start one."""
        assert make("", print).attach(stage_run) is None

    def test_no_credential_reaches_the_stage(self, make, stage_run, monkeypatch):
        """A stage gets data and a recipe; keys stay with the worker."""
        for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GIT_ASKPASS", "DVC_TEST", "PGPASSWORD"):
            monkeypatch.setenv(name, "do-not-tell")
        source = "import os; raise SystemExit('do-not-tell' in os.environ.values())"
        assert make(source, print).run(stage_run).exit_code == 0
