"""Are the GPUs there, and do they work: a few seconds before hours are spent.

`voxmill gpu-check` asks it, and a stage that needs GPUs does so first of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from voxmill.errors import EngineMissing

MIN_FREE_SHARE = 0.5
"""Less memory free than this means that another program is at work on the GPU."""
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class GpuFound:
    """One GPU, after it was tried out."""

    name: str
    free_bytes: int = 0
    total_bytes: int = 0
    wrong: int | None = None
    """Elements of a product of matrices that are not what they must be; None: not computed."""
    trouble: str = ""
    """What the driver or CUDA said instead of an answer."""


@dataclass(frozen=True, kw_only=True)
class GpusFound:
    """What this machine (or container) shows of GPUs."""

    driver: str = ""
    """Version of NVIDIA's driver."""
    driver_trouble: str = ""
    """Why NVML, the driver's own library, does not tell."""
    cuda_trouble: str = ""
    """Why PyTorch finds no GPU."""
    gpus: Sequence[GpuFound] = ()


class Gpus(Protocol):
    """The GPUs that a stage may use."""

    def look(self) -> GpusFound:
        """Asks NVML, and lets each GPU multiply two matrices; raises nothing."""


def require_gpus(wanted: int | None, gpus: Gpus) -> GpusFound:
    """Looks at the GPUs and tells what there is.

    Args:
        wanted: How many are needed; None: all that there are, and at least one.
        gpus: Where they are looked for.

    Raises:
        EngineMissing: There are fewer, or one of them does not work; names every reason.
    """
    found = gpus.look()
    wanted = wanted or max(1, len(found.gpus))
    reasons = list(_reasons(found, wanted))
    if reasons:
        lines = "".join(f"\n  {reason}" for reason in reasons)
        raise EngineMissing(
            f"{wanted} GPU(s) needed, and the check before the start failed:{lines}\n"
            "Correct that, run it on another machine, or set resources.gpus to 0 in the recipe."
        )
    return found


def lines(found: GpusFound) -> Iterator[str]:
    """What is there, for a person."""
    yield f"driver {found.driver}"
    for number, gpu in enumerate(found.gpus):
        yield f"GPU {number}: {gpu.name}, {_memory(gpu)}, multiplies right"


def _reasons(found: GpusFound, wanted: int) -> Iterator[str]:
    if found.driver_trouble:
        yield f"NVML: {found.driver_trouble}"
    if found.cuda_trouble:
        yield f"CUDA: {found.cuda_trouble}"
    elif len(found.gpus) < wanted:
        yield (
            f"found {len(found.gpus)} GPU(s), needed {wanted}. CUDA_VISIBLE_DEVICES or the "
            "container may hide some; lower resources.gpus to what is there"
        )
    for number, gpu in enumerate(found.gpus[:wanted]):
        yield from _reasons_of(f"GPU {number} ({gpu.name})", gpu)


def _reasons_of(which: str, gpu: GpuFound) -> Iterator[str]:
    if gpu.trouble:
        yield f"{which}: {gpu.trouble}"
        return
    if gpu.wrong:
        yield (
            f"{which}: {gpu.wrong} elements of a product of matrices are wrong. It is broken or "
            "overclocked: take it out of use, and look at `nvidia-smi -q -d ECC`"
        )
    if gpu.free_bytes < MIN_FREE_SHARE * gpu.total_bytes:
        yield (
            f"{which}: {_memory(gpu)}, at least {MIN_FREE_SHARE:.0%} needed. Another program is at "
            "work on it (`nvidia-smi` names it): end it, or wait"
        )


def _memory(gpu: GpuFound) -> str:
    return f"{gpu.free_bytes / _GIB:.1f} of {gpu.total_bytes / _GIB:.1f} GiB free"
