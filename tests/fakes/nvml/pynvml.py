"""NVIDIA's management library as a file says: GPUs that work, idle, fail or get lost.

Put this folder on the PYTHONPATH of an exporter, and name in FAKE_NVML a JSON file with a list of
GPUs, each `{"utilisation": 0-100, "lost": bool, "xid": count}`. The file is read at each look.
"""

# ruff: noqa: N802, N816  # the names are the library's
from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
nvmlEventTypeXidCriticalError = 8
_told: Counter[int] = Counter()


class NVMLError(Exception):
    """What the library says instead of an answer."""


def _gpus() -> list[dict]:
    return json.loads(Path(os.environ["FAKE_NVML"]).read_text())


def nvmlInit() -> None:
    _gpus()


def nvmlShutdown() -> None:
    pass


def nvmlDeviceGetCount() -> int:
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    if _gpus()[index].get("lost"):
        raise NVMLError("GPU is lost")
    return index


def nvmlDeviceGetIndex(device: int) -> int:
    return device


def nvmlDeviceGetMemoryInfo(device: int) -> SimpleNamespace:
    del device
    return SimpleNamespace(used=20 << 30, total=80 << 30)


def nvmlDeviceGetUtilizationRates(device: int) -> SimpleNamespace:
    return SimpleNamespace(gpu=_gpus()[device]["utilisation"])


def nvmlDeviceGetTemperature(device: int, sensor: int) -> int:
    del device, sensor
    return 61


def nvmlDeviceGetPowerUsage(device: int) -> int:
    del device
    return 310_000  # milliwatts


def nvmlEventSetCreate() -> object:
    return object()


def nvmlDeviceRegisterEvents(device: int, kind: int, events: object) -> None:
    del kind, events
    _told[device] = 0


def nvmlEventSetWait_v2(events: object, timeout_milliseconds: int) -> SimpleNamespace:
    del events, timeout_milliseconds
    for device, gpu in enumerate(_gpus()):
        if _told[device] < gpu.get("xid", 0):
            _told[device] += 1
            return SimpleNamespace(device=device, eventData=79)
    raise NVMLError("Timeout")
