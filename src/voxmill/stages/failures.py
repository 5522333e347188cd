"""Failures of the machine in the words of `voxmill.errors`: full disk, no memory, lost GPU."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from voxmill.errors import EngineMissing, GpuLost, VoxmillError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("no space left on device", "disk quota exceeded")  # from Rust and C++ libraries
_GPU_GONE = (
    "gpu is lost",
    "fallen off the bus",
    "no cuda-capable device is detected",
    "uncorrectable ecc error",
    "devices unavailable",
    "device(s) is/are busy or unavailable",
    "cuda error: unknown error",
    "cuda driver shutting down",
    "system not yet initialized",
)
"""How CUDA says that the device went away; an assert or illegal access in a kernel is our bug."""

_HARDLY_FREE_BYTES = 2**20
_GIB = 2**30


def translate(error: BaseException, *, stage: str, out: Path, work: Path) -> VoxmillError | None:
    """What a person can do about a failure that a library raised; None where it is a bug.

    On a full disk the unfinished output is removed, to make room: whatever is in `out`, this try
    has written.

    Args:
        error: As it left the stage; what caused it is looked at, too.
        stage: Name of the stage.
        out: Its output folder.
        work: Its work folder, with checkpoints and journal.
    """
    chain = list(_chain(error))
    if any(isinstance(one, VoxmillError) for one in chain[:1]):
        return None
    if any(isinstance(one, RuntimeError) for one in chain) and _nothing_free(out, work):
        # torch.save and libsndfile hide the reason: "unexpected pos 576 vs 534", "System error".
        return _full_disk(error, stage, out, work)
    for recognised, words in _KINDS:
        found = next((one for one in chain if recognised(one)), None)
        if found is not None:
            return words(found, stage, out, work)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(words in str(error).lower() for words in _FULL_WORDS)


def _is_out_of_gpu_memory(error: BaseException) -> bool:
    # By name: whether torch is there is for the stage to know.
    kind = type(error)
    return kind.__name__ == "OutOfMemoryError" and kind.__module__.startswith("torch")


def _is_gpu_lost(error: BaseException) -> bool:
    text = str(error).lower()
    about_gpu = "cuda" in text or "nvml" in text or "gpu" in text
    return isinstance(error, RuntimeError) and about_gpu and any(one in text for one in _GPU_GONE)


def _is_out_of_memory(error: BaseException) -> bool:
    refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    # torch's allocator for the CPU raises a RuntimeError.
    return isinstance(error, MemoryError) or refused or "can't allocate memory" in str(error)


def _nothing_free(*folders: Path) -> bool:
    there = [folder for folder in folders if folder.is_dir()]
    return any(shutil.disk_usage(folder).free < _HARDLY_FREE_BYTES for folder in there)


def _full_disk(error: BaseException, stage: str, out: Path, work: Path) -> VoxmillError:
    named = getattr(error, "filename", None)
    path = Path(str(named)) if named else out
    folder = next(one for one in (path, *path.absolute().parents) if one.is_dir())
    free = shutil.disk_usage(folder).free
    removed = _empty(out)
    return EngineMissing(
        f"Stage {stage}: the disk is full at {path}: {free:,} bytes free. The unfinished output in "
        f"{out} ({removed:,} bytes) was removed; inputs, finished stages, and the checkpoints and "
        f"journal in {work} are as they were. Make room, or set VOXMILL_HOME to a larger disk, and "
        "start again: it goes on from there."
    )


def _empty(folder: Path) -> int:
    """Removes what is in a folder; gives how many bytes of files that was."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return size


def _gpu_memory(error: BaseException, stage: str, _out: Path, work: Path) -> VoxmillError:
    return EngineMissing(
        f"Stage {stage}: the GPU's memory is too small: {_first_line(error)} Lower "
        "train.batch_seconds (and raise train.accumulation as much), or set "
        f"train.gradient_checkpointing: true; checkpoints in {work} stay."
    )


def _gpu_lost(error: BaseException, stage: str, _out: Path, work: Path) -> VoxmillError:
    return GpuLost(
        f"Stage {stage}: the GPU went away: {_first_line(error)} Start again: it goes on from the "
        f"newest checkpoint in {work}. If it happens again, look at `nvidia-smi -q` and `dmesg`."
    )


def _memory(error: BaseException, stage: str, _out: Path, work: Path) -> VoxmillError:
    return EngineMissing(
        f"Stage {stage}: the machine's memory ({_memory_gib():.1f} GiB) is too small: "
        f"{_first_line(error)} Close other programs, lower train.batch_seconds, or take a larger "
        f"machine; checkpoints in {work} stay."
    )


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _memory_gib() -> float:
    import os

    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB


_Words = Callable[[BaseException, str, Path, Path], VoxmillError]
_KINDS: tuple[tuple[Callable[[BaseException], bool], _Words], ...] = (
    (_is_full_disk, _full_disk),
    (_is_out_of_gpu_memory, _gpu_memory),
    (_is_gpu_lost, _gpu_lost),
    (_is_out_of_memory, _memory),
)
