"""Workers that die, and workers that meet: nothing is lost and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toys.toy_project import ToyProject, git, main_memory, make_project, origin_has
from voxmill.errors import UsageError
from voxmill.runs.execution import run_stage
from voxmill.runs.run import find_run

ENTRIES = ".voxmill/cache/dvc/runs/*/*"
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


def test_a_worker_killed_at_its_run_cache_entry_leaves_no_trap_for_other_runs(
    toy: ToyProject,
) -> None:
    """The entry's folder is there and empty; the next run of the same inputs fills it."""
    code, out = finish(worker(toy, "one", "ingest", "dvc.utils.serialize:dump_yaml", "before"))
    assert code == -signal.SIGKILL, out
    assert [list(folder.iterdir()) for folder in toy.root.glob(ENTRIES)] == [[]]
    assert toy.run_all(toy.open("two"), until="ingest") == {"ingest": "executed"}
    assert toy.run_all(toy.open("three"), until="ingest") == {"ingest": "restored"}


def test_an_entry_of_the_run_cache_is_read_only_when_it_is_whole(toy: ToyProject) -> None:
    """A run that asks while another one writes the entry waits, and takes it."""
    writer = worker(toy, "one", "ingest", "dvc.utils.serialize:dump_yaml", "slow")
    while not list(toy.root.glob(ENTRIES)):
        assert writer.poll() is None, finish(writer)
        time.sleep(0.02)
    assert toy.run_all(toy.open("two"), until="ingest") == {"ingest": "restored"}
    code, out = finish(writer)
    assert code == 0, out
    assert toy.launches("ingest") == 1


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
