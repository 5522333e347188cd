"""What a job was started with, so that a result is never taken for that of other inputs."""

from __future__ import annotations

import hashlib

from voxmill.launchers.launcher import StageRun


def fingerprint(stage_run: StageRun) -> str:
    """SHA-256 of the recipe, of each input's place and of its report, as far as it has one."""
    digest = hashlib.sha256(stage_run.recipe_file.read_bytes())
    for name, folder in sorted(stage_run.inputs.items()):
        digest.update(f"\0{name}={folder}\0".encode())
        report = folder / "report.json"
        if report.is_file():
            digest.update(report.read_bytes())
    return digest.hexdigest()
