"""PROOF: two processes train in one container as they do outside of it.

The container has no network but its own loopback, a read-only root and the shared memory that
every stage gets; the image is the one that `make images` builds.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from toys.docker_engine import REPOSITORY
from toys.tone_speech import MODEL, write_prepared
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.launcher import StageRun

TRAIN = {
    "seed": 3,
    "epochs": 2,
    "batch_seconds": 8.0,
    "accumulation": 2,
    "learning_rate": 4e-3,
    "warmup_steps": 4,
    "threads": 1,
}


def stage_run(folder: Path, processes: int) -> StageRun:
    """Training on tones, whose input every number of processes has in common."""
    recipe = yaml.safe_load((REPOSITORY / "recipes" / "digits.yaml").read_text())
    recipe |= {"model": MODEL.model_dump(mode="json"), "train": TRAIN}
    file = folder / "digits.yaml"
    file.write_text(yaml.safe_dump(recipe))
    work = folder / f"work.{processes}"
    work.mkdir()
    return StageRun(
        run=f"digits-with-{processes}",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=file,
        inputs={"prepare": folder / "prepare"},
        out=folder / f"out.{processes}",
        work=work,
        resources={"image": "voxmill-stage", "processes": processes},
    )


def losses(run: StageRun) -> dict[int, float]:
    """Of every step."""
    lines = map(json.loads, (run.out / "curves.jsonl").read_text().splitlines())
    return {one["step"]: one["values"]["voxmill_train_loss"] for one in lines if not one["labels"]}


def test_two_processes_in_a_container_learn_what_one_learns(images, tmp_path, monkeypatch) -> None:
    """They meet over gloo without a network, and nobody is left when the container ends."""
    monkeypatch.setenv("DOCKER_HOST", images.host)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_prepared(tmp_path / "prepare", utterances=48)
    one, two = (stage_run(tmp_path, processes) for processes in (1, 2))
    for run in (one, two):
        result = DockerLauncher().run(run)
        assert result.exit_code == 0, result.log.read_text()
    assert "train of digits: 2 processes" in (two.work / "logs" / "train.1.log").read_text()
    assert max(losses(two)) > 4
    assert losses(two) == pytest.approx(losses(one), rel=1e-3)
    assert images.docker("ps", "--all", "--quiet").stdout == ""
