"""Stages of runs with real git and real DVC: executed, restored, refused, failed, remembered."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from toys.toy_project import STAGES, ToyProject, git, hashes, main_memory, make_project, origin_has
from voxmill.errors import CheckpointedAndLeft, GateRefused, TrainingFailed, UsageError
from voxmill.runs.execution import run_stage, stop_stage
from voxmill.runs.state import read_state
from voxmill.runs.waiver import waive


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def test_a_run_executes_every_stage_and_a_second_one_none(toy: ToyProject) -> None:
    """An unchanged stage is never run again: it comes from the run-cache, byte for byte."""
    one = toy.open("one")
    assert set(toy.run_all(one).values()) == {"executed"}
    two = toy.open("two")
    assert set(toy.run_all(two).values()) == {"restored"}
    assert [toy.launches(stage) for stage in STAGES] == [1] * len(STAGES)
    assert hashes(two.folder / "artifacts") == hashes(one.folder / "artifacts")
    assert set(toy.run_all(two).values()) == {"unchanged"}
    assert origin_has(toy, one)
    assert origin_has(toy, two)


def test_each_finished_stage_is_a_commit_that_tells_its_verdict_and_figures(
    toy: ToyProject,
) -> None:
    """The branch reads as the run's diary."""
    run = toy.open("one")
    toy.run_all(run, until="audit")
    subjects = git(run.folder, "log", "--format=%s", "main..HEAD").splitlines()
    assert subjects == [
        "Finish audit of digits-one",
        "Finish ingest of digits-one",
        "Open run digits-one",
    ]
    body = git(run.folder, "log", "-1", "--format=%b")
    assert "Verdict: passed" in body
    assert "size: 2" in body


def test_memory_reaches_the_main_branch_and_its_files_follow(toy: ToyProject) -> None:
    """What a stage learned is in main when it has finished; a checkout of main shows it."""
    toy.run_all(toy.open("one"), until="prepare")
    assert [json.loads(line)["id"] for line in main_memory(toy, "splits.jsonl")] == [
        "u0",
        "u1",
        "u2",
    ]
    there = toy.root / "memory" / "digits"
    assert (there / "splits.jsonl").read_text().splitlines() == main_memory(toy, "splits.jsonl")
    assert json.loads((there / "source.json").read_text())["files"].keys() == {
        "0.wav",
        "1.wav",
        "2.wav",
    }
    assert git(toy.root, "status", "--porcelain") == ""


def test_a_trial_with_another_source_leaves_mains_listing_alone(toy: ToyProject) -> None:
    """Else the next sync would find new data where there is none."""
    toy.run_all(toy.open("one"), until="ingest")
    listed = main_memory(toy, "source.json")
    toy.run_all(toy.open("two", overrides={"source.path": "fewer"}), until="ingest")
    assert main_memory(toy, "source.json") == listed


def test_changed_data_reruns_and_a_changed_section_reruns_only_what_reads_it(
    toy: ToyProject,
) -> None:
    """New data or settings make new results, and no more of them than needed."""
    toy.run_all(toy.open("one"))
    again = toy.open("two", overrides={"package.epochs": 5})
    assert toy.run_all(again) == dict.fromkeys(STAGES[:6], "restored") | {
        "package": "executed",
        "evaluate": "executed",
    }
    (toy.root / "recordings" / "3.wav").write_bytes(b"3")
    more = toy.open("three")
    assert toy.run_all(more, until="ingest") == {"ingest": "executed"}


def test_force_runs_a_stage_that_is_up_to_date(toy: ToyProject) -> None:
    """`--force` asks neither dvc.lock nor the run-cache."""
    run = toy.open("one")
    toy.run_all(run, until="audit")
    assert run_stage(run, "audit", toy.launcher, force=True) == "executed"
    assert toy.launches("audit") == 2
    assert read_state(run.folder)["audit"].attempt == 2


def test_a_failed_gate_keeps_the_output_and_refuses_the_next_stage_until_waived(
    toy: ToyProject,
) -> None:
    """A gate never throws work away; a waiver opens it for one run, restored results included."""
    toy.order("audit.failed")
    run = toy.open("one")
    toy.run_all(run, until="audit")
    assert "Failed check: audit.quality: 0.5" in git(run.folder, "log", "-1", "--format=%b")
    with pytest.raises(GateRefused) as refusal:
        run_stage(run, "verify", toy.launcher)
    assert refusal.value.checks == ("audit.quality",)
    with pytest.raises(UsageError, match=r"Its failed checks: audit\.quality"):
        waive(run, "audit.quantity", "because")
    with pytest.raises(UsageError, match="needs its reason"):
        waive(run, "audit.quality", "  ")
    waive(run, "audit.quality", "known and harmless")
    assert run_stage(run, "verify", toy.launcher) == "executed"
    [line] = main_memory(toy, "waivers.jsonl")
    waiver = json.loads(line)
    assert waiver["who"] == "Toy Maker <toy@example.org>"
    assert (waiver["run"], waiver["why"]) == ("one", "known and harmless")
    other = toy.open("two")
    toy.run_all(other, until="audit")
    with pytest.raises(GateRefused):
        run_stage(other, "verify", toy.launcher)


def test_a_failing_stage_raises_what_its_exit_code_says_and_the_next_try_runs_it(
    toy: ToyProject,
) -> None:
    """70 stays 70; the message names the log; after the repair the run goes on."""
    order = toy.order("train.exit", 70)
    run = toy.open("one")
    with pytest.raises(TrainingFailed, match=r"(?s)told to fail.*logs/train.1.log"):
        toy.run_all(run)
    assert read_state(run.folder)["train"].outcome == "failed"
    order.unlink()
    assert toy.run_all(run)["train"] == "executed"
    assert read_state(run.folder)["train"].attempt == 2


def test_a_stopped_stage_leaves_with_75_and_goes_on(toy: ToyProject) -> None:
    """Asking to stop saves and leaves; nothing is marked as failed."""
    order = toy.order("train.sleep", 60)
    run = toy.open("one")
    toy.run_all(run, until="probe")

    def ask() -> None:
        while toy.launches("train") == 0:
            time.sleep(0.05)
        time.sleep(0.3)
        stop_stage(run, "train", toy.launcher)

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(CheckpointedAndLeft):
        run_stage(run, "train", toy.launcher)
    asking.join()
    assert read_state(run.folder)["train"].outcome == "stopped"
    order.unlink()
    assert run_stage(run, "train", toy.launcher) == "executed"


def test_a_stage_that_died_of_the_request_to_leave_is_stopped_and_goes_on(toy: ToyProject) -> None:
    """SIGTERM before the stage listens costs no retry: it counts as 75, as when it had saved."""
    order = toy.order("train.exit", 128 + 15)
    run = toy.open("one")
    toy.run_all(run, until="probe")
    with pytest.raises(CheckpointedAndLeft):
        run_stage(run, "train", toy.launcher)
    assert read_state(run.folder)["train"].outcome == "stopped"
    order.unlink()
    assert run_stage(run, "train", toy.launcher) == "executed"


def test_uncommitted_memory_in_main_stops_no_run_and_loses_no_line(toy: ToyProject) -> None:
    """The run goes on with a warning; the next stage brings what the earlier one could not."""
    run = toy.open("one")
    toy.run_all(run, until="ingest")
    there = toy.root / "memory" / "digits" / "splits.jsonl"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text('{"id": "mine", "split": "test"}\n')
    toy.run_all(run, until="prepare")
    assert there.read_text() == '{"id": "mine", "split": "test"}\n'
    git(toy.root, "add", "memory")
    git(toy.root, "commit", "--quiet", "--message=Mine")
    toy.run_all(run)
    lines = main_memory(toy, "splits.jsonl")
    assert [json.loads(line)["id"] for line in lines] == ["mine", "u0", "u1", "u2"]
    assert git(toy.root, "status", "--porcelain") == ""


def test_a_bare_origin_takes_branches_and_memory(tmp_path: Path) -> None:
    """With VOXMILL_GIT the checkout stays as it is, and another machine can go on with the run."""
    toy = make_project(tmp_path)
    bare = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(toy.root), str(bare))
    environ = {"VOXMILL_GIT": str(bare), "VOXMILL_REMOTE": str(tmp_path / "remote")}
    here = ToyProject(toy.root, toy.control, environ)
    run = here.open("one")
    here.run_all(run, until="prepare")
    assert "run/" not in git(toy.root, "branch", "--list")
    assert len(git(bare, "show", "main:memory/digits/splits.jsonl").splitlines()) == 3
    elsewhere = ToyProject(toy.root, toy.control, {**environ, "VOXMILL_HOME": str(tmp_path / "B")})
    same = elsewhere.open("one")
    assert same.folder != run.folder
    assert elsewhere.run_all(same) == dict.fromkeys(STAGES[:4], "unchanged") | dict.fromkeys(
        STAGES[4:], "executed"
    )
    fresh = ToyProject(toy.root, toy.control, {**environ, "VOXMILL_HOME": str(tmp_path / "C")})
    assert set(fresh.run_all(fresh.open("two")).values()) == {"restored"}
