"""Whether the GPUs that a stage asks for are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.errors import EngineMissing
from voxmill.launchers.gpus import gpus_here, require_gpus
from voxmill.launchers.launcher import StageRun


def asking_for(gpus: object) -> StageRun:
    return StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=Path("digits.yaml"),
        inputs={},
        out=Path("out"),
        work=Path("work"),
        resources={"gpus": gpus},
    )


def test_a_stage_that_asks_for_more_gpus_than_there_are_does_not_start(tmp_path: Path) -> None:
    """Better refused with 69 than trained on a CPU for weeks."""
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus_here(tmp_path) == 1
    require_gpus(asking_for(1), tmp_path)
    with pytest.raises(EngineMissing, match=r"asks for 2 GPU\(s\); this machine shows 1"):
        require_gpus(asking_for(2), tmp_path)


@pytest.mark.parametrize("gpus", [0, None])
def test_a_stage_that_asks_for_none_starts_anywhere(tmp_path: Path, gpus: object) -> None:
    """The demo runs on a laptop."""
    require_gpus(asking_for(gpus), tmp_path)
