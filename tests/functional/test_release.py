"""Releases with real git, DVC and GTO: what goes out, and what a fresh clone gets back."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from toys.toy_project import STAGES, ToyProject, git, hashes, list_toy, make_project
from voxmill.errors import EngineMissing, GateRefused, UsageError, VoxmillError
from voxmill.runs.execution import run_stage
from voxmill.runs.listing import sync
from voxmill.runs.release import release, rollback
from voxmill.runs.run import Run
from voxmill.runs.waiver import waive


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project whose run `one` has every stage; tests copy it."""
    toy = make_project(tmp_path_factory.mktemp("finished"))
    toy.run_all(toy.open("one"))
    return toy


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def champion(toy: ToyProject) -> str:
    tags = git(toy.root, "tag", "--list", "digits#champion#*").split()
    newest = max(tags, key=lambda tag: int(tag.rpartition("#")[2]))
    return git(toy.root, "rev-parse", f"{newest}^{{commit}}")


def test_a_release_comes_back_byte_for_byte_in_a_fresh_clone(
    finished: ToyProject, tmp_path: Path
) -> None:
    """`git clone && git checkout TAG && dvc pull` ends with 0 and brings every file back."""
    run = finished.open("one")
    made = release(finished.project, run)
    assert (made.tag, made.version, made.fresh) == ("digits@v0.1.0", "v0.1.0", True)
    assert made.figures["test"] == {
        "onnx-fp32": {
            "wer": 0.03,
            "wer_low": 0.02,
            "wer_high": 0.04,
            "cer": 0.01,
            "real_time_factor": 0.01,
            "utterances": 12,
        }
    }
    assert git(finished.root, "rev-parse", "digits@v0.1.0^{commit}") == made.commit
    assert champion(finished) == made.commit
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", str(finished.root), str(elsewhere))
    git(elsewhere, "checkout", "--quiet", made.tag)
    command = [sys.executable, "-m", "dvc", "pull", "--quiet"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    brought = hashes(elsewhere / "artifacts")
    assert brought == hashes(run.folder / "artifacts")
    assert {path.split("/")[1] for path in brought} == set(STAGES)
    assert hashes(elsewhere / "memory") == hashes(run.folder / "memory")
    again = release(finished.project, run)
    assert (again.tag, again.commit, again.fresh) == (made.tag, made.commit, False)


def test_versions_count_up_and_rollback_makes_an_earlier_one_champion(toy: ToyProject) -> None:
    """The next patch by default, a version by wish, none twice; rollback only adds a tag."""
    runs = []
    for number, name in enumerate(("one", "two", "three")):
        run = toy.open(name, overrides={"evaluate.epochs": number})
        toy.run_all(run)
        runs.append(run)
    one, two, three = runs
    assert release(toy.project, one).version == "v0.1.0"
    assert release(toy.project, two).version == "v0.1.1"
    with pytest.raises(UsageError, match=r"v0\.1\.1 is there already"):
        release(toy.project, three, "v0.1.1")
    with pytest.raises(UsageError, match="expected three numbers"):
        release(toy.project, three, "newest")
    assert release(toy.project, three, "2.0.0").tag == "digits@v2.0.0"
    back = rollback(toy.project, "digits", "v0.1.0")
    assert champion(toy) == back.commit == git(one.folder, "rev-parse", "HEAD")
    assert back.figures["sizes"] == {"onnx-fp32": 1000}
    with pytest.raises(UsageError, match="is the champion already"):
        rollback(toy.project, "digits", "0.1.0")
    with pytest.raises(UsageError, match=r"There are: v0\.1\.0, v0\.1\.1, v2\.0\.0"):
        rollback(toy.project, "digits", "v9.9.9")
    same = toy.open("four", overrides={"evaluate.epochs": 0})
    toy.run_all(same)
    assert (release(toy.project, same).tag, release(toy.project, same).fresh) == (
        "digits@v0.1.0",
        False,
    )


def test_an_unfinished_or_edited_run_is_not_released(toy: ToyProject) -> None:
    """A release has all its stages, as committed."""
    run = toy.open("one")
    toy.run_all(run, until="package")
    with pytest.raises(UsageError, match="is not finished: evaluate"):
        release(toy.project, run)
    toy.run_all(run)
    run.recipe_file.write_text(run.recipe_file.read_text().replace("epochs: 2", "epochs: 9"))
    with pytest.raises(UsageError, match=r"uncommitted changes .*recipes/digits\.yaml"):
        release(toy.project, run)
    git(run.folder, "commit", "--quiet", "--all", "--message=Edit")
    with pytest.raises(UsageError, match="is not finished: train"):
        release(toy.project, run)
    assert git(toy.root, "tag", "--list") == ""


def test_a_failed_check_of_the_last_stage_stops_the_release_until_waived(
    toy: ToyProject,
) -> None:
    """Gates pass, or are waived by name."""
    toy.order("evaluate.failed")
    run = toy.open("one")
    toy.run_all(run)
    with pytest.raises(GateRefused, match="voxmill waive one") as refusal:
        release(toy.project, run)
    [check] = refusal.value.checks
    waive(run, check, "good enough for a first try")
    assert release(toy.project, run).tag == "digits@v0.1.0"
    assert "waivers.jsonl" in git(toy.root, "ls-tree", "-r", "--name-only", "digits@v0.1.0")


def test_sync_tells_new_data_from_unchanged_data(toy: ToyProject) -> None:
    """The listing of main follows the source, and says what changed."""
    first = sync(toy.project, "digits", list_toy)
    assert first.fresh
    assert first.added == ("0.wav", "1.wav", "2.wav")
    assert not sync(toy.project, "digits", list_toy).fresh
    (toy.root / "recordings" / "0.wav").unlink()
    (toy.root / "recordings" / "1.wav").write_bytes(b"other")
    (toy.root / "recordings" / "9.wav").write_bytes(b"new")
    change = sync(toy.project, "digits", list_toy)
    assert (change.added, change.removed, change.changed) == (("9.wav",), ("0.wav",), ("1.wav",))
    assert git(toy.root, "status", "--porcelain") == ""
    assert len(git(toy.root, "log", "--format=%s", "--grep=List the source").splitlines()) == 2


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 6 MB that can be filled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs the right to mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    """Writes until there is no space left."""
    with suppress(OSError), path.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()


def test_a_full_remote_disk_costs_a_message_and_no_work(tmp_path: Path, small_disk: Path) -> None:
    """The stage's result is committed; when there is space again, the next try only pushes."""
    toy = make_project(tmp_path, {"VOXMILL_REMOTE": str(small_disk / "remote")})
    run = toy.open("one")
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(EngineMissing, match="disk is full"):
        run_stage(run, "ingest", toy.launcher)
    assert "Finish ingest" in git(run.folder, "log", "-1", "--format=%s")
    filler.unlink()
    assert run_stage(run, "ingest", toy.launcher) == "executed"
    assert toy.launches("ingest") == 1


def test_a_full_disk_during_a_stage_loses_no_finished_stage(
    tmp_path: Path, small_disk: Path
) -> None:
    """The stage fails with one message; after making room the run goes on from there."""
    toy = make_project(tmp_path, {"VOXMILL_HOME": str(small_disk / "home")})
    run: Run = toy.open("one")
    toy.run_all(run, until="ingest")
    before = git(run.folder, "rev-parse", "HEAD")
    order = toy.order("audit.full")
    with pytest.raises(VoxmillError) as failure:
        run_stage(run, "audit", toy.launcher)
    assert failure.value.exit_code in {1, EngineMissing.exit_code}
    order.unlink()
    assert git(run.folder, "rev-parse", "HEAD") == before
    assert run_stage(run, "audit", toy.launcher) == "executed"
