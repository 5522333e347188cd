"""NVIDIA's GPUs: `python -m voxmill.stages.nvidia` tries them out and writes JSON.

In a process of its own: a driver that hangs can be given up on, and what CUDA takes of a GPU's
memory is free again before the stage begins.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

from voxmill.stages.gpu_check import GpuFound, GpusFound

ANSWER_SECONDS = 120.0
"""A cold driver takes a few seconds for each GPU."""
_SIZE = 1024
_LARGEST = 4  # so that every sum is a whole number that any precision's accumulator holds exactly


class NvidiaGpus:
    """Satisfies `Gpus`."""

    def __init__(self, timeout_seconds: float = ANSWER_SECONDS) -> None:
        self._timeout = timeout_seconds

    def look(self) -> GpusFound:
        """See the port."""
        command = [sys.executable, "-P", "-m", __name__]
        try:
            asked = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=self._timeout
            )
        except subprocess.TimeoutExpired:
            return GpusFound(
                driver_trouble=f"no answer within {self._timeout:.0f} s: the driver hangs. Look at "
                "`dmesg` and `nvidia-smi`; often only a restart of the machine helps"
            )
        if asked.returncode != 0:
            last = (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return GpusFound(
                cuda_trouble=f"the check itself ended with exit code {asked.returncode}: {last}"
            )
        answer = json.loads(asked.stdout)
        return GpusFound(**{**answer, "gpus": [GpuFound(**gpu) for gpu in answer["gpus"]]})


def look_here() -> GpusFound:
    """Asks NVML and CUDA in this process."""
    driver, trouble = _driver()
    found = GpusFound(driver=driver, driver_trouble=trouble, cuda_trouble=_cuda_trouble())
    if found.cuda_trouble:
        return found
    import torch

    return replace(found, gpus=[_tried(number) for number in range(torch.cuda.device_count())])


def _driver() -> tuple[str, str]:
    """The driver's version, or what is wrong with it."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return "", "the package nvidia-ml-py is not installed here. Install it, or `make images`"
    try:
        pynvml.nvmlInit()
        version = str(pynvml.nvmlSystemGetDriverVersion())
        for number in range(pynvml.nvmlDeviceGetCount()):
            pynvml.nvmlDeviceGetHandleByIndex(number)  # says whether one of them is lost
    except pynvml.NVMLError as error:
        return "", (
            f"{error}. Install NVIDIA's driver, or look at `nvidia-smi`; for containers install "
            "nvidia-container-toolkit, too"
        )
    return version, ""


def _cuda_trouble() -> str:
    import torch

    if torch.version.cuda is None:
        return (
            f"PyTorch {torch.__version__} is the build for CPUs. Build the image with `make images "
            "VARIANT=cuda`, or install the CUDA build"
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return f"PyTorch {torch.__version__} finds no GPU: {_one_line(error)}"
    return ""


def _tried(number: int) -> GpuFound:
    import torch

    name = f"number {number}"
    try:
        name = torch.cuda.get_device_name(number)
        free, total = torch.cuda.mem_get_info(number)
        return GpuFound(name=name, free_bytes=free, total_bytes=total, wrong=_wrong(number))
    except RuntimeError as error:  # out of memory is one, too
        return GpuFound(name=name, trouble=_one_line(error))


def _wrong(number: int) -> int:
    """How many elements of a product come out otherwise than on the CPU; both are exact."""
    import torch

    generator = torch.Generator().manual_seed(number)
    size = (_SIZE, _SIZE)
    one, other = (
        torch.randint(-_LARGEST, _LARGEST + 1, size, generator=generator).float() for _ in range(2)
    )
    found = (one.to(f"cuda:{number}") @ other.to(f"cuda:{number}")).cpu()
    return int((found != one @ other).sum())


def _one_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(look_here())))
