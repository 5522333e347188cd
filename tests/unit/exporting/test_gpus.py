"""GPUs as NVML tells them: busy, lost, failing, absent. The fake stands for NVIDIA's library."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from voxmill.exporting.gpus import RETRY_SECONDS, GpuReading, NvmlProbe

FAKE = Path(__file__).resolve().parents[2] / "fakes" / "nvml" / "pynvml.py"


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    """Sets what the fake library tells."""
    file = tmp_path / "gpus.json"
    monkeypatch.setenv("FAKE_NVML", str(file))
    return lambda *gpus: file.write_text(json.dumps(gpus))


def fake():
    spec = importlib.util.spec_from_file_location("fake_pynvml", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_busy_gpu_tells_everything(nvml):
    """Ratios 0-1, bytes, watts: base units."""
    nvml({"utilisation": 93})
    (gpu,) = NvmlProbe(fake).read()
    assert (gpu.index, gpu.up, gpu.utilisation, gpu.xid_errors) == ("0", True, 0.93, 0)
    assert gpu.memory_used_bytes == 20 << 30
    assert gpu.memory_total_bytes == 80 << 30
    assert gpu.power_watts is not None
    assert 0 < gpu.power_watts < 2000
    assert gpu.temperature_celsius is not None
    assert 0 < gpu.temperature_celsius < 120


def test_a_lost_gpu_stays_in_the_list_as_lost_and_may_come_back(nvml):
    """A series that vanished would fire no alert."""
    probe = NvmlProbe(fake)
    nvml({"utilisation": 93}, {"utilisation": 5})
    assert [gpu.up for gpu in probe.read()] == [True, True]
    nvml({"utilisation": 93}, {"utilisation": 5, "lost": True})
    assert probe.read()[1] == GpuReading(index="1", up=False)
    nvml({"utilisation": 93})
    assert [gpu.up for gpu in probe.read()] == [True, False]
    nvml({"utilisation": 93}, {"utilisation": 5})
    assert [gpu.up for gpu in probe.read()] == [True, True]


def test_critical_errors_add_up(nvml):
    """XID: what the driver says before a GPU is lost."""
    probe = NvmlProbe(fake)
    nvml({"utilisation": 93})
    probe.read()
    nvml({"utilisation": 93, "xid": 1})
    assert probe.read()[0].xid_errors == 1
    nvml({"utilisation": 93, "xid": 3})
    assert probe.read()[0].xid_errors == 3
    assert probe.read()[0].xid_errors == 3


def test_a_library_that_fails_is_started_again_later(nvml):
    """A driver that is reloaded answers again."""
    clock = [0.0]
    library = fake()
    probe = NvmlProbe(lambda: library, clock=lambda: clock[0])
    nvml({"utilisation": 93})
    probe.read()
    count = library.nvmlDeviceGetCount

    def fails() -> int:
        raise library.NVMLError("Driver Not Loaded")

    library.nvmlDeviceGetCount = fails
    assert [gpu.up for gpu in probe.read()] == [False]
    library.nvmlDeviceGetCount = count
    assert [gpu.up for gpu in probe.read()] == [False]
    clock[0] += RETRY_SECONDS + 1
    assert [gpu.up for gpu in probe.read()] == [True]


def test_a_machine_without_nvml_has_no_gpus():
    """Neither the package nor a driver need be there."""

    def missing():
        raise ImportError("No module named pynvml")

    assert NvmlProbe(missing).read() == []


def test_the_real_library_of_this_machine_answers_or_is_not_there():
    """The adapter names what nvidia-ml-py has; where there is a GPU, it is read."""
    import pynvml

    for name in ("nvmlEventSetWait_v2", "nvmlDeviceGetIndex", "nvmlEventTypeXidCriticalError"):
        assert hasattr(pynvml, name)
    for gpu in NvmlProbe().read():
        assert gpu.memory_total_bytes is None or gpu.memory_total_bytes > 1 << 30
