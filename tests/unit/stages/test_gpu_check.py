"""GPUs are tried out before hours are spent on them; each reason against them is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxmill.errors import EngineMissing
from voxmill.stages.gpu_check import GpuFound, GpusFound, lines, require_gpus
from voxmill.stages.nvidia import NvidiaGpus

GIB = 2**30
SOUND = GpuFound(name="H200", free_bytes=139 * GIB, total_bytes=140 * GIB, wrong=0)
MACHINE = GpusFound(driver="570.86", gpus=(SOUND, SOUND))


class Fake:
    """A machine that shows what it is told to."""

    def __init__(self, found: GpusFound):
        self._found = found

    def look(self) -> GpusFound:
        return self._found


def second(**changes: object) -> GpusFound:
    return replace(MACHINE, gpus=(SOUND, replace(SOUND, **changes)))


def test_sound_gpus_are_told_with_their_memory():
    """One line each, as `voxmill gpu-check` prints them."""
    assert list(lines(require_gpus(2, Fake(MACHINE)))) == [
        "driver 570.86",
        "GPU 0: H200, 139.0 of 140.0 GiB free, multiplies right",
        "GPU 1: H200, 139.0 of 140.0 GiB free, multiplies right",
    ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(MACHINE, driver_trouble="Driver Not Loaded"), "NVML: Driver Not Loaded"),
        (GpusFound(driver="570.86", cuda_trouble="built for CPUs"), "CUDA: built for CPUs"),
        (replace(MACHINE, gpus=(SOUND,)), r"found 1 GPU\(s\), needed 2.*CUDA_VISIBLE_DEVICES"),
        (second(wrong=7), r"GPU 1 \(H200\): 7 elements of a product of matrices are wrong"),
        (second(free_bytes=69 * GIB), r"69.0 of 140.0 GiB free, at least 50% needed.*nvidia-smi"),
        (second(trouble="CUDA error: GPU is lost"), r"GPU 1 \(H200\): CUDA error: GPU is lost"),
    ],
)
def test_what_is_wrong_is_said_before_the_stage_begins(found, reason):
    """With 69, so that Airflow does not try it again, and with what to do."""
    with pytest.raises(EngineMissing, match=reason) as refused:
        require_gpus(2, Fake(found))
    assert refused.value.exit_code == 69
    assert "set resources.gpus to 0" in str(refused.value)


def test_all_reasons_are_named_at_once():
    """Whoever repairs the machine goes there once."""
    found = GpusFound(
        driver_trouble="Driver Not Loaded", gpus=(replace(SOUND, wrong=1, free_bytes=0),)
    )
    with pytest.raises(EngineMissing) as refused:
        require_gpus(2, Fake(found))
    assert len(str(refused.value).splitlines()) == 1 + 4 + 1


def test_a_gpu_that_is_not_needed_may_be_busy():
    """Only as many as are asked for are looked at; where nobody says how many, all are."""
    busy = Fake(second(free_bytes=0))
    require_gpus(1, busy)
    with pytest.raises(EngineMissing, match="GPU 1"):
        require_gpus(None, busy)
    with pytest.raises(EngineMissing, match=r"found 0 GPU\(s\), needed 1"):
        require_gpus(None, Fake(GpusFound(driver="570.86")))


def test_a_driver_that_hangs_is_given_up_on():
    """It is asked in a process of its own."""
    assert "the driver hangs" in NvidiaGpus(timeout_seconds=0.01).look().driver_trouble


def test_any_machine_answers():
    """With the driver's version or with what is wrong with it; nothing is raised."""
    found = NvidiaGpus().look()
    assert bool(found.driver) != bool(found.driver_trouble)
    assert found.cuda_trouble or found.gpus
