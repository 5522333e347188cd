"""Memory, load, disks and GPUs of this machine as samples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from voxmill.exporting.gpus import GpuReading
from voxmill.exporting.samples import Sample


def host_samples(places: Mapping[str, Path]) -> Iterator[Sample]:
    """Memory, load, and the disks where things lie.

    Args:
        places: Folder by place (`home`, `cache`, `remote`); one that is not there yet stands for
            the nearest folder above it.

    Raises:
        OSError: A disk does not answer.
    """
    import psutil

    memory = psutil.virtual_memory()
    yield Sample("voxmill_host_memory_available_bytes", (), float(memory.available))
    yield Sample("voxmill_host_memory_total_bytes", (), float(memory.total))
    yield Sample("voxmill_host_load_ratio", (), os.getloadavg()[0] / (os.cpu_count() or 1))
    for place, folder in places.items():
        disk = shutil.disk_usage(_nearest(folder))
        yield Sample("voxmill_disk_free_bytes", (place,), float(disk.free))
        yield Sample("voxmill_disk_total_bytes", (place,), float(disk.total))


def gpu_samples(readings: Sequence[GpuReading], *, expected: int) -> Iterator[Sample]:
    """The GPUs.

    Args:
        readings: Of every GPU that was ever seen.
        expected: How many the running stages asked for.
    """
    yield Sample("voxmill_gpu_expected", (), float(expected))
    yield Sample("voxmill_gpu_found", (), float(sum(gpu.up for gpu in readings)))
    for gpu in readings:
        yield Sample("voxmill_gpu_up", (gpu.index,), float(gpu.up))
        yield Sample("voxmill_gpu_xid_errors_total", (gpu.index,), float(gpu.xid_errors))
        values = {
            "utilisation_ratio": gpu.utilisation,
            "memory_used_bytes": gpu.memory_used_bytes,
            "memory_total_bytes": gpu.memory_total_bytes,
            "temperature_celsius": gpu.temperature_celsius,
            "power_watts": gpu.power_watts,
        }
        for name, value in values.items():
            if value is not None:
                yield Sample(f"voxmill_gpu_{name}", (gpu.index,), float(value))


def _nearest(path: Path) -> Path:
    return next(one for one in (path, *path.absolute().parents) if one.exists())
