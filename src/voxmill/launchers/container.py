"""What a stage's container is: its name, its mounts, its limits, and nothing that it does not need.

Inside, a stage sees its own folders under fixed names, so that no path of the host gets into a
report and the same stage looks the same on every worker:

    /voxmill/recipe/<recipe>.yaml   read-only
    /voxmill/in/<name>              read-only, one for each input
    /voxmill/out                    the stage's partial output
    /voxmill/work                   journal, checkpoints, logs; survives tries
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voxmill.launchers.environment import stage_environment
from voxmill.launchers.fingerprint import fingerprint
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.stage_command import stage_command
from voxmill.observability.logs import MODE_VARIABLE

INSIDE = Path("/voxmill")
PYTHON = "python3"
GIB = 2**30
SHM_GIB = 1.0
"""Docker's own 64 MiB are too little for data loaders that hand tensors on."""
TMP_GIB = 2.0
MOST_PROCESSES = 4096
LABEL = "org.voxmill"
GPUS_LABEL = f"{LABEL}.gpus"
"""Devices that a container got by name, see `gpu_claims`."""

# Names of the host's own environment that mean something else, or nothing, inside.
_OF_THE_HOST = (
    *("PATH", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_", "NVIDIA_"),
    *("SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HF_HUB_CACHE"),
)

Command = Callable[[StageRun], list[str]]


def container_name(stage_run: StageRun) -> str:
    """The same for every try, so that the next one finds what the last one started."""
    return f"voxmill-{stage_run.run}-{stage_run.stage}"


def seen_inside(stage_run: StageRun) -> StageRun:
    """The stage run with its paths as the container has them."""
    return replace(
        stage_run,
        recipe_file=INSIDE / "recipe" / stage_run.recipe_file.name,
        inputs={name: INSIDE / "in" / name for name in stage_run.inputs},
        out=INSIDE / "out",
        work=INSIDE / "work",
    )


def container_command(stage_run: StageRun) -> list[str]:
    """The stage command, run by the image's own interpreter."""
    return stage_command(stage_run, python=PYTHON)


def container_environment(
    stage_run: StageRun, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a process would get, without what only makes sense on the host."""
    inner = stage_environment(stage_run, environ)
    kept = {name: value for name, value in inner.items() if not name.startswith(_OF_THE_HOST)}
    outer = os.environ if environ is None else environ
    kept[MODE_VARIABLE] = outer.get(MODE_VARIABLE) or "json"  # for whoever collects engines' logs
    if stage_run.resources.get("network"):
        kept["HF_HUB_CACHE"] = str(stage_run.work / "hub")
    return kept


def creation(stage_run: StageRun, command: Command = container_command) -> dict[str, Any]:
    """Arguments for the engine's `containers.create`.

    Root file system read-only, no capabilities, no new privileges, no network unless `meta` says
    so, and the caller's user id, so that what the stage writes belongs to the caller.

    Args:
        stage_run: The stage with the host's paths.
        command: Builds the command line from the stage with the container's paths.
    """
    inside = seen_inside(stage_run)
    resources = stage_run.resources
    return {
        "image": image_of(stage_run),
        "name": container_name(stage_run),
        "command": _limited(command(inside), stage_run),
        "entrypoint": [],
        "environment": container_environment(inside),
        "working_dir": str(inside.work),
        "user": f"{os.getuid()}:{os.getgid()}",
        "labels": labels(stage_run),
        "mounts": _mounts(stage_run, inside),
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={_bytes(TMP_GIB)}"},  # noqa: S108 -- inside
        "read_only": True,
        "init": True,
        "network_mode": "bridge" if resources.get("network") else "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": MOST_PROCESSES,
        "shm_size": _bytes(_number(resources, "shm_gb") or SHM_GIB),
        "stop_signal": "SIGTERM",
        **_limits(resources),
    }


def image_of(stage_run: StageRun) -> str:
    """The image that `meta` or the recipe names."""
    return str(stage_run.resources.get("image") or "voxmill-stage")


def gpus_of(resources: Mapping[str, object]) -> int:
    """How many GPUs a stage asks for."""
    return int(_number(resources, "gpus"))


def labels(stage_run: StageRun) -> dict[str, str]:
    """What tells the next try, and a person, whose container this is."""
    return {
        f"{LABEL}.run": stage_run.run,
        f"{LABEL}.recipe": stage_run.recipe,
        f"{LABEL}.stage": stage_run.stage,
        f"{LABEL}.attempt": str(stage_run.attempt),
        f"{LABEL}.fingerprint": fingerprint(stage_run),
    }


def _limited(command: Sequence[str], stage_run: StageRun) -> list[str]:
    """The command under its time limit, which so holds although no worker may be left to watch."""
    if stage_run.timeout_seconds is None:
        return list(command)
    limit = ["timeout", "--foreground", "--signal=TERM"]
    limit += [f"--kill-after={stage_run.grace_seconds:g}", f"{stage_run.timeout_seconds:g}"]
    return [*limit, *command]


def _mounts(stage_run: StageRun, inside: StageRun) -> list[Any]:
    from docker.types import Mount

    readable = {inside.recipe_file: stage_run.recipe_file}
    readable |= {inside.inputs[name]: folder for name, folder in stage_run.inputs.items()}
    writeable = {inside.out: stage_run.out, inside.work: stage_run.work}
    return [
        Mount(str(target), str(source.resolve()), type="bind", read_only=read_only)
        for folders, read_only in ((readable, True), (writeable, False))
        for target, source in folders.items()
    ]


def _limits(resources: Mapping[str, object]) -> dict[str, Any]:
    from docker.types import DeviceRequest

    limits: dict[str, Any] = {}
    if memory := _number(resources, "memory_gb"):
        # The same for memory and swap: swapping would hide what the limit is there to show.
        limits |= {"mem_limit": _bytes(memory), "memswap_limit": _bytes(memory)}
    if cpus := _number(resources, "cpus"):
        limits["nano_cpus"] = math.ceil(cpus * 1e9)
    if gpus := gpus_of(resources):
        limits["device_requests"] = [DeviceRequest(count=gpus, capabilities=[["gpu"]])]
    return limits


def _number(resources: Mapping[str, object], name: str) -> float:
    return float(str(resources.get(name) or 0))


def _bytes(gibibytes: float) -> int:
    return math.ceil(gibibytes * GIB)
