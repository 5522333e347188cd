"""What a stage ran on and with, for its report."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from pydantic import JsonValue

import voxmill

REPORTED = (
    *("accelerate", "jiwer", "numpy", "onnx", "onnxruntime", "pydantic", "soundfile", "soxr"),
    *("tokenizers", "torch", "transformers"),
)
"""Libraries whose version decides what comes out."""
REVISION_VARIABLE = "VOXMILL_REVISION"


def versions() -> dict[str, str]:
    """Versions of voxmill, its commit, Python, and the libraries that were used so far."""
    found = {"voxmill": voxmill.__version__, "python": platform.python_version()}
    commit = code_commit()
    if commit:
        found["git_commit"] = commit
    for name in REPORTED:
        if name in sys.modules:
            found[name] = metadata.version(name)
    return found


def code_commit() -> str | None:
    """Commit of the checkout or image that the code runs from; None where neither is known.

    Ends in `-dirty` where tracked files differed from it.
    """
    folder = Path(voxmill.__file__).parent
    # --match of nothing: without it a tag such as digits@v1.0.0 would stand in for the commit.
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        tracked = ["git", "-C", str(folder), "ls-files", "--error-unmatch", "__init__.py"]
        if subprocess.run(tracked, capture_output=True, check=False).returncode != 0:
            return _image_commit()
        asked = subprocess.run(
            [*command, "--match", ""], capture_output=True, text=True, check=False
        )
    except OSError:  # no git here
        return _image_commit()
    return asked.stdout.strip() or None


def _image_commit() -> str | None:
    """What the image that this runs in was built from, as its Dockerfile says."""
    return os.environ.get(REVISION_VARIABLE) or None


def machine() -> dict[str, JsonValue]:
    """Name, system, cores, memory and GPUs."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpus: list[JsonValue] = [*_gpus()]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes,
        "gpus": gpus,
    }


def peak_memory_bytes() -> int:
    """Most resident memory so far of this process, or of its hungriest child that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024  # Linux counts in KiB


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
