"""The stage command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from voxmill.launchers.launcher import StageRun
from voxmill.launchers.stage_command import stage_command


def test_the_command_names_every_folder_and_the_try(tmp_path: Path) -> None:
    """It is the contract that every launcher and container image relies on."""
    run = StageRun(
        run="digits-manual",
        recipe="digits",
        stage="prepare",
        attempt=3,
        recipe_file=Path("/p/recipes/digits.yaml"),
        inputs={"memory": Path("/p/memory/digits"), "audit": Path("/p/a/audit")},
        out=Path("/p/a/prepare.partial"),
        work=Path("/p/work/digits"),
    )
    command = stage_command(run)
    assert " ".join(command[command.index("stage") :]) == (
        "stage prepare --recipe /p/recipes/digits.yaml --in audit=/p/a/audit "
        "--in memory=/p/memory/digits --out /p/a/prepare.partial --work /p/work/digits --attempt 3"
    )
    program = command[: command.index("stage")]
    (tmp_path / "voxmill").mkdir()
    (tmp_path / "voxmill" / "__init__.py").write_text("raise SystemExit('a checkout\\'s own code')")
    helped = subprocess.run([*program, "--help"], cwd=tmp_path, capture_output=True, check=False)
    assert helped.returncode == 0


@pytest.mark.parametrize(
    ("resources", "options"),
    [
        ({"gpus": 2}, "--gpus 2"),
        ({"gpus": 0, "processes": 2}, "--processes 2"),
        ({"gpus": 4, "processes": 2}, "--gpus 4 --processes 2"),
        ({"gpus": None, "processes": None}, ""),
    ],
)
def test_the_command_says_what_the_stage_has_of_its_machine(resources, options) -> None:
    """GPUs are tried out first, and a training starts a process for each."""
    run = StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=Path("digits.yaml"),
        inputs={},
        out=Path("out"),
        work=Path("work"),
        resources=resources,
    )
    assert " ".join(stage_command(run)).partition("--attempt 1")[2].strip() == options
