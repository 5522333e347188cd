"""What is refused before a stage begins, and which stages several processes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from toys.family import toy_recipe
from voxmill.errors import EngineMissing, UsageError
from voxmill.stages.gpu_check import GpuFound, GpusFound
from voxmill.stages.runner import StageOrder
from voxmill.stages.stage import StageContext, StageOutcome
from voxmill.stages.start import start_stage
from voxmill.training.config import TrainConfig

SOUND = GpuFound(name="H200", free_bytes=10, total_bytes=10, wrong=0)


class Machine:
    """Shows so many GPUs, and remembers whether it was asked."""

    def __init__(self, gpus: int):
        self._gpus = gpus
        self.asked = False

    def look(self) -> GpusFound:
        self.asked = True
        return GpusFound(driver="570", gpus=[SOUND] * self._gpus)


class Noted:
    """A stage that notes that it was run."""

    version = 1

    def __init__(self, name: str):
        self.name = name
        self.runs = 0

    def run(self, context: StageContext) -> StageOutcome:
        self.runs += 1
        return StageOutcome()


def order(folder: Path, stage: str, *, accumulation: int = 1) -> StageOrder:
    (folder / "in").mkdir()
    recipe = toy_recipe(TrainConfig(accumulation=accumulation))
    return StageOrder(
        stage=stage,
        recipe=recipe,
        inputs={"prepare": folder / "in"},
        out=folder / "out",
        work=folder / "work",
    )


@pytest.mark.parametrize(("stage", "gpus", "processes"), [("train", 1, None), ("prepare", 2, 2)])
def test_one_process_runs_what_is_not_shared(tmp_path, stage, gpus, processes):
    """A training on one GPU, and every other stage whatever it is given."""
    noted, machine = Noted(stage), Machine(2)
    start_stage(
        order(tmp_path, stage),
        gpus=gpus,
        processes=processes,
        load=lambda name: noted,
        port=machine,
    )
    assert noted.runs == 1
    assert machine.asked


def test_a_stage_without_gpus_asks_for_none(tmp_path):
    """Machines without a driver run it."""
    machine = Machine(0)
    start_stage(order(tmp_path, "train"), load=Noted, port=machine)
    assert not machine.asked


def test_too_few_gpus_are_refused_before_anything_is_read(tmp_path):
    """With what was found and what to do."""
    with pytest.raises(EngineMissing, match=r"2 GPU\(s\) needed(.|\n)*found 1"):
        start_stage(order(tmp_path, "train"), gpus=2, load=Noted, port=Machine(1))
    assert not (tmp_path / "work").exists()


def test_more_processes_than_micro_batches_in_a_window_are_refused(tmp_path):
    """GPUs that would stand idle for weeks; the message says what to raise."""
    with pytest.raises(UsageError, match=r"1 would have nothing to do\. Raise train\.accumulation"):
        start_stage(order(tmp_path, "train"), gpus=2, load=Noted, port=Machine(2))


def test_more_processes_than_gpus_are_refused(tmp_path):
    """Two processes on one GPU would wait for each other."""
    given = order(tmp_path, "train", accumulation=4)
    with pytest.raises(UsageError, match=r"processes is 3 with 2 GPU.*at most 2"):
        start_stage(given, gpus=2, processes=3, load=Noted, port=Machine(2))
