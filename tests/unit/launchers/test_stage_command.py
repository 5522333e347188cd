"""The stage command."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
