"""Runs with real git and real DVC: opening, executing, dying, resuming, several at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from toys.toy_project import STAGES, ToyProject, git, hashes, make_project
from voxmill.errors import (
    CheckpointedAndLeft,
    GateRefused,
    RecipeError,
    TrainingFailed,
    UsageError,
)
from voxmill.runs.execution import run_stage, stop_stage
from voxmill.runs.opening import RunOptions, open_run
from voxmill.runs.run import Run, RunRecord, find_run
from voxmill.runs.state import read_state
from voxmill.runs.waiver import waive

WORKER = Path(__file__).resolve().parents[1] / "toys" / "toy_worker.py"


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def worker(toy: ToyProject, run_id: str, until: str, *place: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), str(toy.root.parent), run_id, until, *place]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def origin_has(toy: ToyProject, run: Run) -> bool:
    head = git(run.folder, "rev-parse", "HEAD")
    return git(toy.root, "rev-parse", f"refs/heads/{run.branch}") == head


def main_memory(toy: ToyProject, name: str) -> list[str]:
    return git(toy.root, "show", f"main:memory/digits/{name}").splitlines()


def test_a_run_executes_every_stage_and_a_second_one_none(toy: ToyProject) -> None:
    """An unchanged stage is never run again: it comes from the run-cache, byte for byte."""
    one = toy.open("one")
    assert set(toy.run_all(one).values()) == {"executed"}
    two = toy.open("two")
    began = time.monotonic()
    assert set(toy.run_all(two).values()) == {"restored"}
    assert time.monotonic() - began < 15
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


def test_a_job_outlives_its_killed_worker_and_the_next_one_attaches(toy: ToyProject) -> None:
    """Kill -9 of the worker in mid-stage costs nothing: the job is not started twice."""
    toy.order("audit.sleep", 6)
    first = worker(toy, "one", "audit")
    while toy.launches("audit") == 0:
        assert first.poll() is None, finish(first)
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    finish(first)
    code, out = finish(worker(toy, "one", "audit"))
    assert (code, out) == (0, "{'ingest': 'unchanged', 'audit': 'executed'}"), out
    assert toy.launches("audit") == 1


PLACES = [
    ("voxmill.runs.execution:write_pending", "after"),
    ("voxmill.launchers.stage_launch:launch_stage", "after"),
    ("voxmill.launchers.stage_launch:_swap", "after"),
    ("voxmill.runs.storage:Storage.commit", "after"),
    ("voxmill.runs.execution:commit_stage", "before"),
    ("voxmill.runs.execution:publish", "before"),
    ("voxmill.runs.publishing:push_branch", "before"),
    ("voxmill.runs.publishing:merge_into_main", "before"),
    ("voxmill.runs.execution:clear_pending", "before"),
]


@pytest.mark.parametrize(("place", "moment"), PLACES)
def test_a_worker_killed_at_any_step_is_replaced_without_running_the_stage_twice(
    toy: ToyProject, place: str, moment: str
) -> None:
    """Whatever the dead worker had not done, the next one does; data, branch and memory are out."""
    code, out = finish(worker(toy, "one", "ingest", place, moment))
    assert code == -signal.SIGKILL, out
    code, out = finish(worker(toy, "one", "ingest"))
    assert (code, out) == (0, "{'ingest': 'executed'}"), out
    assert toy.launches("ingest") == 1
    run = find_run(toy.project, "one")
    assert origin_has(toy, run)
    assert git(run.folder, "status", "--porcelain") == ""
    assert main_memory(toy, "source.json")
    assert len(list((toy.root / ".voxmill" / "remote" / "files").rglob("*"))) > 3


OPENING = [
    ("voxmill.runs.opening:_fill", "before"),
    ("voxmill.runs.opening:_commit", "after"),
    ("voxmill.runs.opening:push_branch", "before"),
]


@pytest.mark.parametrize(("place", "moment"), OPENING)
def test_a_killed_opening_leaves_a_whole_run_or_none(
    toy: ToyProject, place: str, moment: str
) -> None:
    """Opening again under the same id works, and no rubbish stays."""
    code, out = finish(worker(toy, "one", "ingest", place, moment))
    assert code == -signal.SIGKILL, out
    run = toy.open("one")
    assert toy.run_all(run, until="ingest") == {"ingest": "executed"}
    assert [p.name for p in run.folder.parent.iterdir() if "opening" in p.name] == []


def test_two_workers_of_one_run_and_two_runs_at_once(toy: ToyProject) -> None:
    """A second worker is told who holds the run; different runs do not disturb each other."""
    toy.order("ingest.sleep", 4)
    run = toy.open("one")
    first, second = worker(toy, "one", "prepare"), worker(toy, "two", "prepare")
    while toy.launches("ingest") < 2:
        assert first.poll() is None, finish(first)
        assert second.poll() is None, finish(second)
        time.sleep(0.05)
    with pytest.raises(UsageError, match=rf"process {first.pid}, since 20"):
        run_stage(run, "ingest", toy.launcher)
    for process in (first, second):
        code, out = finish(process)
        assert code == 0, out
    lines = main_memory(toy, "splits.jsonl")
    assert len(lines) == len(set(lines)) == 3
    assert git(toy.root, "status", "--porcelain") == ""
    assert origin_has(toy, find_run(toy.project, "one"))
    assert origin_has(toy, find_run(toy.project, "two"))


def test_recipe_edits_travel_and_overrides_keep_comments(toy: ToyProject) -> None:
    """The run's branch holds the recipe as it was edited, with the overrides written in."""
    recipe = toy.root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("d_model: 8", "d_model: 16"))
    run = toy.open("one", overrides={"train.epochs": 7, "verify.max_seconds": 1.5})
    text = run.recipe_file.read_text()
    assert "d_model: 16" in text
    assert "  epochs: 7  # twice through" in text
    assert text.startswith("# What the toy is for.")
    record = RunRecord.read(run.folder)
    assert record.dirty == ("recipes/digits.yaml",)
    assert record.overrides == {"train.epochs": 7, "verify.max_seconds": 1.5}
    assert git(toy.root, "status", "--porcelain") == " M recipes/digits.yaml"


def test_an_unknown_override_opens_nothing(toy: ToyProject) -> None:
    """Every mistake is named, and no half run stays behind."""
    with pytest.raises(RecipeError) as mistake:
        toy.open("one", overrides={"train.bogus": 1, "audit.nonsense": 2})
    assert [problem.field for problem in mistake.value.problems] == [
        "audit.nonsense",
        "train.bogus",
    ]
    with pytest.raises(UsageError, match="not in"):
        find_run(toy.project, "one")
    assert "run/" not in git(toy.root, "branch", "--list")


def test_uncommitted_code_is_refused_or_taken_along(toy: ToyProject) -> None:
    """What the run computed with is in its first commit, or the run does not begin."""
    (toy.root / "code.py").write_text("print('two')\n")
    with pytest.raises(UsageError, match=r"(?s)code\.py.*--allow-dirty"):
        toy.open("one")
    run = toy.open("one", allow_dirty=True)
    assert git(run.folder, "show", "HEAD:code.py") == "print('two')"
    assert RunRecord.read(run.folder).dirty == ("code.py",)
    assert git(toy.root, "status", "--porcelain") == " M code.py"


def test_opening_again_resumes_and_other_overrides_are_refused(toy: ToyProject) -> None:
    """The same Airflow run always means the same run."""
    options = {"airflow_run_id": "manual__2026-11-21T03:00:00+00:00"}
    run = toy.open(**options, overrides={"train.epochs": 3})
    assert run.id == "manual-2026-11-21t03-00-00-00-00"
    assert toy.open(**options, overrides={"train.epochs": 3}) == run
    assert toy.open(run.id) == run
    with pytest.raises(UsageError, match="other overrides"):
        toy.open(run.id, overrides={"train.epochs": 4})


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


def test_bad_states_of_git_get_one_clear_message(tmp_path: Path) -> None:
    """Bare, no git, no commit, no branch to remember in: each says what to do."""
    toy = make_project(tmp_path)
    bare, empty, nothing = tmp_path / "bare.git", tmp_path / "empty", tmp_path / "nothing"
    git(tmp_path, "clone", "--quiet", "--bare", str(toy.root), str(bare))
    empty.mkdir()
    nothing.mkdir()
    git(empty, "init", "--quiet")
    (empty / "dvc.yaml").write_text("stages: {}\n")
    from voxmill.runs.project import Project

    for start, words in (
        (bare, "is a bare git repository"),
        (nothing, "is not in a git checkout"),
        (empty, "has no commit yet"),
    ):
        with pytest.raises(UsageError, match=words):
            Project.find(start, {})
    git(toy.root, "checkout", "--quiet", "--detach")
    run = open_run(toy.project, "digits", RunOptions(run_id="one"), lister=_no_listing)
    assert RunRecord.read(run.folder).base_commit == git(toy.root, "rev-parse", "HEAD")
    git(toy.root, "branch", "--quiet", "--delete", "--force", "main")
    with pytest.raises(UsageError, match="memory has nowhere to go"):
        Project.find(toy.root, {})


def _no_listing(order: object) -> None:
    order.out.write_text("{}\n")  # type: ignore[attr-defined]
