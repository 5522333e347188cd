"""Two hosts that share a git origin and a DVC remote, and nothing else, work at one run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from toys.toy_project import STAGES, ToyProject, git, hashes, make_project
from voxmill.errors import CheckpointedAndLeft, UsageError
from voxmill.runs.catching_up import catch_up
from voxmill.runs.execution import run_stage
from voxmill.runs.git import Git
from voxmill.runs.opening import push_branch
from voxmill.runs.publishing import locked_outputs
from voxmill.runs.release import release
from voxmill.runs.run import Run
from voxmill.runs.state import mark, read_state

LEASE_SECONDS = 3.0
WORKER = Path(__file__).resolve().parents[1] / "toys" / "toy_worker.py"


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ToyProject, ToyProject]:
    """Two checkouts with a home each."""
    monkeypatch.setenv("VOXMILL_LEASE_SECONDS", str(LEASE_SECONDS))
    shared = {
        "VOXMILL_GIT": str(tmp_path / "origin.git"),
        "VOXMILL_REMOTE": str(tmp_path / "remote"),
    }
    first = make_project(tmp_path / "first", shared)
    git(tmp_path, "clone", "--quiet", "--bare", str(first.root), shared["VOXMILL_GIT"])
    (tmp_path / "second").mkdir()
    git(tmp_path / "second", "clone", "--quiet", shared["VOXMILL_GIT"], "project")
    second = ToyProject(tmp_path / "second" / "project", first.control, shared)
    for key in ("user.name", "user.email"):
        git(second.root, "config", key, git(first.root, "config", key))
    return first, second


def branch_on_origin(toy: ToyProject, run: Run) -> str:
    return git(Path(toy.environ["VOXMILL_GIT"]), "rev-parse", run.branch)


def leases(toy: ToyProject) -> str:
    return git(Path(toy.environ["VOXMILL_GIT"]), "for-each-ref", "refs/leases")


def test_one_run_is_finished_by_two_hosts_released_by_the_first_and_pulled_by_a_third(
    hosts, tmp_path: Path
) -> None:
    """Each stage runs once, wherever; outputs come through the remote, the rest through git."""
    first, second = hosts
    here = first.open("one")
    first.run_all(here, until="prepare")
    there = second.open("one")
    ran = second.run_all(there, until="train")
    assert [ran[stage] for stage in STAGES[:6]] == ["unchanged"] * 4 + ["executed"] * 2
    assert first.run_all(here)["train"] == "unchanged"
    assert [first.launches(stage) for stage in STAGES] == [1] * len(STAGES)
    tag = release(first.project, here).tag
    assert tag == "digits@v0.1.0"
    assert leases(first) == "", "a lease was left behind"
    assert branch_on_origin(first, here) == git(here.folder, "rev-parse", "HEAD")
    third = tmp_path / "third"
    git(tmp_path, "clone", "--quiet", first.environ["VOXMILL_GIT"], str(third))
    git(third, "checkout", "--quiet", tag)
    subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet"], cwd=third, check=True)
    trained = there.folder / "artifacts" / "digits" / "train"
    assert hashes(third / "artifacts" / "digits" / "train") == hashes(trained)


def test_a_stage_that_another_host_is_at_is_refused_by_its_name(hosts) -> None:
    """The lease is renewed, so the other host is alive: 64, and a person reads where it runs."""
    first, second = hosts
    here = first.open("one")
    there = second.open("one")
    order = first.order("ingest.sleep", 60)
    ended: list[str] = []
    worker = threading.Thread(
        target=lambda: ended.append(run_stage(here, "ingest", first.launcher))
    )
    worker.start()
    wait_for_launches(first, "ingest", 1)
    with pytest.raises(UsageError, match=r"host .*first/project/\.voxmill is at it"):
        run_stage(there, "ingest", second.launcher)
    order.unlink()
    worker.join()
    assert ended == ["executed"]
    assert run_stage(there, "ingest", second.launcher) == "unchanged"
    assert first.launches("ingest") == 1


def test_another_host_takes_over_when_the_lease_has_run_out(hosts) -> None:
    """The first host is gone; what it comes back with later is not pushed."""
    first, second = hosts
    here = first.open("one")
    first.run_all(here, until="ingest")
    there = second.open("one")
    order = first.order("audit.sleep", 120)
    worker = subprocess.Popen(
        [sys.executable, str(WORKER), str(first.root.parent), "one", "audit"],
        env={**os.environ, **first.environ},
        stdout=subprocess.DEVNULL,
    )
    wait_for_launches(first, "audit", 1)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    threading.Timer(LEASE_SECONDS + 2, order.unlink).start()  # lets both jobs finish
    began = time.monotonic()
    assert run_stage(there, "audit", second.launcher) == "executed"
    assert time.monotonic() - began >= LEASE_SECONDS
    theirs = branch_on_origin(first, here)
    assert run_stage(here, "audit", first.launcher) == "unchanged"
    assert branch_on_origin(first, here) == theirs
    assert git(here.folder, "rev-parse", "HEAD") == theirs


def test_a_host_that_is_cut_off_saves_leaves_and_pushes_nothing(hosts, tmp_path) -> None:
    """75 as soon as the lease cannot be renewed; when the origin is back, it goes on."""
    first, _ = hosts
    here = first.open("one")
    origin, away = Path(first.environ["VOXMILL_GIT"]), tmp_path / "away.git"
    order = first.order("ingest.sleep", 120)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run_stage(here, "ingest", first.launcher)
        except CheckpointedAndLeft as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for_launches(first, "ingest", 1)
    origin.rename(away)  # the cable is cut
    worker.join(60)
    away.rename(origin)
    assert caught
    assert read_state(here.folder)["ingest"].outcome == "stopped"
    order.unlink()
    assert run_stage(here, "ingest", first.launcher) == "executed"


@pytest.mark.parametrize(("hours", "words"), [(10, "ahead of"), (-10, "behind")])
def test_clocks_that_differ_mislead_no_lease_and_are_told(hosts, caplog, hours, words) -> None:
    """Neither does a host ahead hold for ever, nor does one behind lose what it renews."""
    first, _ = hosts
    here = first.open("one")
    alive = threading.Event()

    def renew() -> None:
        while not alive.is_set():
            hold_lease(here, "ingest", datetime.now(UTC) + timedelta(hours=hours))
            alive.wait(0.5)

    hold_lease(here, "ingest", datetime.now(UTC) + timedelta(hours=hours))
    other = threading.Thread(target=renew)
    other.start()
    with pytest.raises(UsageError, match=r"host elsewhere:/home is at it"):
        run_stage(here, "ingest", first.launcher)
    alive.set()
    other.join()
    assert f"clock of host elsewhere:/home is 36000 s {words} this one's" in caplog.text
    assert first.launches("ingest") == 0
    assert run_stage(here, "ingest", first.launcher) == "executed"


def hold_lease(run: Run, stage: str, time: datetime) -> None:
    """What another host does that has the lease, by its own clock."""
    clone = Git(run.folder)
    words = {"host": "elsewhere:/home", "pid": 7, "time": time.isoformat()}
    value = clone.run("hash-object", "-w", "--stdin", stdin=json.dumps(words).encode())
    clone.run("push", "--quiet", "--force", "origin", f"{value}:refs/leases/{run.name}/{stage}")


def test_a_branch_that_was_replaced_is_told_and_nothing_is_lost(hosts) -> None:
    """64 with both ways on; the clone is as it was, and the first way works as it is written."""
    first, _ = hosts
    here = first.open("one")
    first.run_all(here, until="ingest")
    mine = git(here.folder, "rev-parse", "HEAD")
    replace_branch(first, here)
    with pytest.raises(UsageError, match="no commit in common") as caught:
        run_stage(here, "audit", first.launcher)
    assert git(here.folder, "rev-parse", "HEAD") == mine
    assert (here.output("ingest") / "report.json").is_file()
    [command] = re.findall(r"is here: (git .*?)\. To go", str(caught.value))
    subprocess.run(command.split(), check=True, capture_output=True)
    assert run_stage(here, "audit", first.launcher) == "executed"
    assert first.launches("ingest") == 1


def test_a_branch_that_is_replaced_while_a_stage_runs_costs_no_result(hosts) -> None:
    """The result is committed here before the origin is looked at; it is sent without a rerun."""
    first, _ = hosts
    here = first.open("one")
    order = first.order("ingest.sleep", 60)
    caught: list[UsageError] = []

    def work() -> None:
        try:
            run_stage(here, "ingest", first.launcher)
        except UsageError as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for_launches(first, "ingest", 1)
    replace_branch(first, here)
    order.unlink()
    worker.join()
    [refusal] = caught
    assert "ingest" in locked_outputs(Git(here.folder), "HEAD")
    [command] = re.findall(r"is here: (git .*?)\. To go", str(refusal))
    subprocess.run(command.split(), check=True, capture_output=True)
    run_stage(here, "ingest", first.launcher)
    assert first.launches("ingest") == 1
    assert branch_on_origin(first, here) == git(here.folder, "rev-parse", "HEAD")


@pytest.mark.parametrize("gone", ["removed", "set back"])
def test_a_branch_that_was_removed_or_set_back_gets_what_is_here(hosts, gone) -> None:
    """Only commits went missing there, and all of them are here."""
    first, _ = hosts
    here = first.open("one")
    opened = branch_on_origin(first, here)
    first.run_all(here, until="ingest")
    origin, ref = Path(first.environ["VOXMILL_GIT"]), f"refs/heads/{here.branch}"
    git(origin, "update-ref", *(("-d", ref) if gone == "removed" else (ref, opened)))
    assert run_stage(here, "audit", first.launcher) == "executed"
    assert branch_on_origin(first, here) == git(here.folder, "rev-parse", "HEAD")
    assert first.launches("ingest") == 1


def replace_branch(toy: ToyProject, run: Run) -> None:
    """What `git push --force` of another history does to the run's branch on the origin."""
    origin = Path(toy.environ["VOXMILL_GIT"])
    tree = git(origin, "rev-parse", f"{run.branch}^{{tree}}")
    stranger = git(origin, "commit-tree", tree, "-m", "Another history")
    git(origin, "update-ref", f"refs/heads/{run.branch}", stranger)


def test_stages_that_two_hosts_finish_at_once_land_together(hosts) -> None:
    """`dvc.lock` conflicts as text; merged stage by stage both are in the branch, and memory is."""
    first, second = hosts
    here = first.open("one")
    first.run_all(here, until="ingest")
    there = second.open("one")
    for run, stage, line in ((here, "probe", '{"id": "a"}'), (there, "verify", '{"id": "b"}')):
        lock = run.folder / "dvc.lock"
        values = yaml.safe_load(lock.read_text())
        values["stages"][f"{stage}@digits"] = {"cmd": stage}
        lock.write_text(yaml.safe_dump(values, sort_keys=False))
        mark(run.folder, stage, outcome="executed")
        (run.memory / "verdicts.jsonl").write_text(line + "\n")
        git(run.folder, "commit", "--quiet", "--all", f"--message=Finish {stage}")
    push_branch(here)
    assert catch_up(there) == ("probe",)
    assert catch_up(there) == ()
    push_branch(there)
    assert catch_up(here) == ("verify",)
    for run in (here, there):
        assert set(locked_outputs(Git(run.folder), "HEAD")) == {"ingest", "probe", "verify"}
        assert set(read_state(run.folder)) == {"ingest", "probe", "verify"}
        assert (run.memory / "verdicts.jsonl").read_text() == '{"id": "a"}\n{"id": "b"}\n'
        assert not git(run.folder, "status", "--porcelain")


def wait_for_launches(toy: ToyProject, stage: str, count: int) -> None:
    deadline = time.monotonic() + 30
    while toy.launches(stage) < count:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
