"""The commands on runs and releases, as a person types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toys.toy_project import STAGES, ToyProject, git, make_project
from voxmill.cli.main import run as voxmill
from voxmill.launchers.jobs import JobFiles
from voxmill.runs.state import mark


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project whose run `one` has every stage, the last one with a failed check."""
    toy = make_project(tmp_path_factory.mktemp("finished"))
    toy.order("evaluate.failed")
    toy.run_all(toy.open("one"))
    toy.open("two", overrides={"train.epochs": 9})
    return toy


@pytest.fixture
def say(finished: ToyProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command line in the project; gives exit code and everything it said."""
    monkeypatch.chdir(finished.root)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str]:
        code = voxmill(list(arguments))
        said = capsys.readouterr()
        return code, said.out + said.err

    return command


def test_runs_lists_state_figures_and_age(say) -> None:
    """One line a run: how far it is and what it reached."""
    code, said = say("runs")
    assert code == 0
    one, two = (line.split() for line in said.splitlines()[1:3])
    assert one[:6] == ["digits", "one", "finished", "evaluate", "failed", "3.00%"]
    assert two[:3] == ["digits", "two", "open"]
    assert "No runs in" in say("runs", "words")[1]


def test_show_tells_stages_checks_and_places(say, finished: ToyProject) -> None:
    """Whatever a person needs to decide what to do next."""
    code, said = say("show", "digits/one")
    assert code == 0
    for stage in STAGES:
        assert f" {stage} " in said
    assert "at most 0.4" in said
    assert "Look at the data." in said
    assert str(finished.root / ".voxmill" / "runs" / "digits" / "one") in said
    assert "train.epochs = 9" in say("show", "two")[1]


def test_release_waits_for_its_waiver_and_rollback_knows_its_versions(say) -> None:
    """66 behind a failed check, 64 for a waiver without reason, then the release."""
    code, said = say("release", "one")
    assert code == 66
    assert 'voxmill waive one "evaluate.quality"' in said
    assert say("waive", "one", "evaluate.quality")[0] == 64
    assert say("waive", "one", "evaluate.nonsense", "--why", "x")[0] == 64
    assert say("waive", "one", "evaluate.quality", "--why", "a toy")[0] == 0
    assert "waived" in say("show", "one")[1]
    code, said = say("release", "one", "--dry-run")
    assert (code, "would become digits@v0.1.0" in said, "a toy" in said) == (0, True, True)
    code, said = say("release", "one")
    assert code == 0
    assert "is digits@v0.1.0" in said
    assert "git checkout digits@v0.1.0 && dvc pull" in said
    assert say("rollback", "digits", "v0.1.0")[0] == 64
    assert say("rollback", "digits", "v3.0.0")[0] == 64


def test_a_wrong_name_stage_launcher_or_override_is_64_with_what_there_is(say) -> None:
    """Usage mistakes never start anything."""
    for command, words in (
        (("run", "nothing"), "Recipes there are: digits, words"),
        (("run", "digits", "--set", "train"), "section.key=value"),
        (("resume", "nobody"), "the newest there: digits/one, digits/two"),
        (("resume", "two", "--until", "bake"), "there are: ingest, audit"),
        (("resume", "two", "--force", "bake"), "there are: ingest, audit"),
        (("resume", "two", "--launcher", "rocket"), "there are: docker, pod, process"),
        (
            ("run", "digits", "--run-id", "three", "--launcher", "rocket"),
            "there are: docker, pod, process",
        ),
        (("run", "digits", "--run-id", "three", "--until", "bake"), "there are: ingest, audit"),
        (("run", "digits", "--run-id", "three", "--force", "bake"), "there are: ingest, audit"),
        (("resume", "three"), "the newest there: digits/one, digits/two"),
    ):
        code, said = say(*command)
        assert (code, words in said) == (64, True), said


def test_resuming_a_finished_run_does_nothing_and_says_what_is_next(say, finished) -> None:
    """A line a stage, the figures, the next command."""
    before = {stage: finished.launches(stage) for stage in STAGES}
    code, said = say("resume", "one")
    assert code == 0
    assert said.count("unchanged") == len(STAGES)
    assert "3.00%" in said
    assert "next    voxmill" in said
    assert {stage: finished.launches(stage) for stage in STAGES} == before


def test_a_job_that_goes_on_without_its_worker_is_told_from_an_interrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kill -9 of the worker ends nothing: `runs` and `show` say so, and how to attach to it."""
    toy = make_project(tmp_path)
    order = toy.order("ingest.sleep", 60)
    monkeypatch.chdir(toy.root)
    monkeypatch.setenv("COLUMNS", "200")
    worker = start_worker(toy, "one")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    for command in (["show", "one"], ["runs"]):
        voxmill(command)
        said = capsys.readouterr().out
        assert "running" not in said
        assert "job goes on" in said
        assert "interrupted" not in said
        assert "voxmill resume one attaches to it" in said
    files = JobFiles(toy.open("one").folder / "work" / "digits", "ingest")
    record = files.record()
    record.child.signal(signal.SIGKILL)
    while record.warden.alive:
        time.sleep(0.05)
    for command in (["show", "one"], ["runs"]):
        voxmill(command)
        said = capsys.readouterr().out
        assert "interrupted" in said
        assert "no job runs any more: voxmill resume one goes on" in said
    order.unlink()


def test_of_a_container_without_a_worker_show_says_what_it_cannot_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the engine knows whether it runs, and resume asks it."""
    toy = make_project(tmp_path)
    run = toy.open("one")
    mark(run.folder, "ingest", outcome="started", attempt=2)
    files = JobFiles(run.folder / "work" / "digits", "ingest")
    files.folder.mkdir(parents=True)
    files.container.write_text("of the newest container")
    monkeypatch.chdir(toy.root)
    voxmill(["show", "one"])
    said = " ".join(capsys.readouterr().out.split())
    assert "digits/one: no worker" in said
    assert "its container may go on: voxmill resume one attaches to it, or starts it again" in said


def test_sync_s_help_promises_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """It writes the listing and names the next command."""
    assert voxmill(["sync", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "new run" not in said
    assert "`voxmill run` then takes what is new" in said


def start_worker(toy: ToyProject, run_id: str) -> subprocess.Popen[str]:
    """`voxmill resume` in a process of its own, waited for until its stage runs."""
    toy.open(run_id)
    script = Path(__file__).resolve().parents[1] / "toys" / "toy_command.py"
    command = [sys.executable, str(script), str(toy.control), "resume", run_id, "--until", "audit"]
    process = subprocess.Popen(
        command, cwd=toy.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while toy.launches("ingest") == 0:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def test_ctrl_c_asks_the_job_to_leave_with_75_and_resume_goes_on(tmp_path: Path) -> None:
    """The first Ctrl-C saves; nothing is lost, and the message says how to go on."""
    toy = make_project(tmp_path)
    order = toy.order("ingest.sleep", 60)
    process = start_worker(toy, "one")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "asked to save and leave" in said
    assert "voxmill resume one" in said
    order.unlink()
    done = subprocess.run(process.args, cwd=toy.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Finish audit" in git(toy.open("one").folder, "log", "-1", "--format=%s")
