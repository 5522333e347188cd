"""Where Weights & Biases is required, a run that could not reach it does not begin."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from toys.toy_project import ToyProject, list_toy, make_project
from voxmill.cli.main import run as voxmill
from voxmill.errors import UsageError
from voxmill.orchestration.local_worker import LocalWorker
from voxmill.orchestration.worker import RunOrder
from voxmill.runs.run import RunRecord

SECRET = "0123456789abcdef" * 3
NETRC = f"machine api.wandb.ai\n  login user\n  password {SECRET}\n"


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def said_of(toy: ToyProject, home: Path, **more: str) -> ToyProject:
    """The same project where W&B is required and nothing but `more` is known of it."""
    required = {"VOXMILL_WANDB": "required", "HOME": str(home)}
    return ToyProject(toy.root, toy.control, {**required, **more})


def untouched(toy: ToyProject) -> bool:
    """Neither clone nor lock nor branch: nothing at all."""
    home = toy.root / ".voxmill"
    return not home.exists() and "run/" not in toy.git("branch", "--list", "--all")


def test_a_required_key_that_is_missing_opens_nothing(toy: ToyProject, tmp_path: Path) -> None:
    """What is missing, where it was looked for, what to do."""
    with pytest.raises(UsageError) as refused:
        said_of(toy, tmp_path).open("one")
    for words in (
        *("VOXMILL_WANDB=required", "WANDB_API_KEY: not set", f"{tmp_path}/.netrc is not there"),
        *("https://wandb.ai/authorize", "WANDB_MODE=offline", "Nothing was opened"),
    ):
        assert words in str(refused.value)
    assert untouched(toy)


def test_a_machine_on_which_wandb_is_disabled_reaches_it_no_more_than_one_without_a_key(
    toy: ToyProject, tmp_path: Path
) -> None:
    """`voxmill forward` refuses there too; a day of training must not end with it."""
    with pytest.raises(UsageError, match=r"WANDB_MODE=disabled: it would take nothing"):
        said_of(toy, tmp_path, WANDB_API_KEY=SECRET, WANDB_MODE="disabled").open("one")
    assert untouched(toy)


@pytest.fixture
def bare(toy: ToyProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyProject:
    """This process is in the project, requires W&B and has no login."""
    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "VOXMILL_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("VOXMILL_WANDB", "required")
    monkeypatch.chdir(toy.root)
    return toy


def test_the_command_ends_with_64_and_shows_no_key(
    bare: ToyProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken netrc file is named by its line, for its words may be passwords."""
    (tmp_path / "netrc").write_text(f"# mine\n{SECRET}\n")
    assert voxmill(["run", "digits", "--run-id", "one"]) == 64
    said = capsys.readouterr()
    assert re.search(r"netrc\s+cannot\s+be\s+read\s+\(line\s+2\)", said.err)
    assert SECRET not in said.out + said.err
    assert untouched(bare)


def test_the_first_task_of_airflow_fails_alike_and_goes_on_with_a_key(
    bare: ToyProject, tmp_path: Path
) -> None:
    """64 fails the task at once; a worker with a netrc file opens the run."""
    order = RunOrder(recipe="digits", airflow_run_id="manual__2026-11-21T03:00:00+00:00")
    with pytest.raises(UsageError, match="WANDB_API_KEY: not set"):
        LocalWorker(bare.root, lister=list_toy).open(order)
    assert untouched(bare)
    (tmp_path / "netrc").write_text(NETRC)
    assert LocalWorker(bare.root, lister=list_toy).open(order) == "manual-2026-11-21t03-00-00-00-00"


@pytest.mark.parametrize(
    "known",
    [
        {"WANDB_API_KEY": SECRET},
        {"WANDB_MODE": "offline"},
        {"VOXMILL_WANDB": "optional"},
        {"VOXMILL_WANDB": ""},
    ],
)
def test_with_a_key_or_offline_or_not_required_it_opens(
    toy: ToyProject, tmp_path: Path, known: dict[str, str]
) -> None:
    """And no key gets into the run's files."""
    run = said_of(toy, tmp_path, **known).open("one")
    assert RunRecord.read(run.folder).id == "one"
    for file in run.folder.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_run_that_is_open_goes_on_where_there_is_no_key(toy: ToyProject, tmp_path: Path) -> None:
    """Here and on another machine: who carries out a stage passes nothing on."""
    run = said_of(toy, tmp_path, WANDB_API_KEY=SECRET).open("one")
    without = said_of(toy, tmp_path)
    assert without.open("one") == run
    shutil.rmtree(run.folder)  # as on a machine that has never seen it
    assert without.open("one") == run
    assert (run.folder / "run.json").is_file()
