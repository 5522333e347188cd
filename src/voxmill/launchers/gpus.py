"""Whether this machine has the GPUs that a stage asks for."""

from __future__ import annotations

from pathlib import Path

from voxmill.errors import EngineMissing
from voxmill.launchers.launcher import StageRun


def gpus_here(devices: Path = Path("/dev")) -> int:
    """How many NVIDIA GPUs this machine shows; WSL shows one for all of them."""
    numbered = [path for path in devices.glob("nvidia*") if path.name[6:].isdigit()]
    return len(numbered) or int((devices / "dxg").exists())


def require_gpus(stage_run: StageRun, devices: Path = Path("/dev")) -> None:
    """Lets a stage start only where its GPUs are.

    Raises:
        EngineMissing: It asks for more than there are.
    """
    wanted = int(str(stage_run.resources.get("gpus") or 0))
    found = gpus_here(devices)
    if wanted > found:
        raise EngineMissing(
            f"Stage {stage_run.stage} of {stage_run.recipe} asks for {wanted} GPU(s); this machine "
            f"shows {found}. Install the NVIDIA driver, run it on another machine, or set "
            f"resources.gpus to {found} in the recipe."
        )
