"""The DAGs of a toy project over the real worker: real git, DVC and processes, toy stages."""

from __future__ import annotations

from pathlib import Path

from toys.toy_project import list_toy, toy_command
from voxmill.launchers.process import ProcessLauncher
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.local_worker import LocalWorker
from voxmill.pipeline.snapshot import read_snapshot


def dags(root: Path) -> dict:
    """DAGs by id; the toys' orders lie beside the project."""
    command = toy_command(root.parent / "control")

    def worker(project_root: Path) -> LocalWorker:
        return LocalWorker(project_root, launcher=ProcessLauncher(command), lister=list_toy)

    return build_dags(read_snapshot(root / "pipeline.json"), root, worker=worker)
