"""What voxmill needs of a machine, found out without importing any of it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

GIB = 2**30
DISK_BYTES = 2 * GIB
"""What `make demo` writes, with room to spare."""
MEMORY_BYTES = 2 * GIB
PATIENCE_SECONDS = 2.0
"""How long a daemon or a host may take to answer."""

WORKSHOP = (
    *("accelerate", "jinja2", "jiwer", "numpy", "onnx", "onnxruntime", "onnxscript"),
    *("safetensors", "soundfile", "soxr", "tokenizers", "torch", "transformers"),
)
OFFICE = ("airflow", "dvc", "gto", "ruamel.yaml")
_ESPEAK = "import ctypes, espeakng_loader as e; ctypes.CDLL(e.get_library_path())"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `voxmill doctor`."""

    name: str
    found: str
    remedy: str = ""
    """What to do; empty where all is well."""
    needed: bool = True
    """Whether `make demo` fails without it."""

    @property
    def ok(self) -> bool:
        """Nothing to do here."""
        return not self.remedy


def python() -> Finding:
    """The interpreter."""
    found = f"{platform.python_version()} in {sys.prefix}"
    right = sys.version_info[:2] == (3, 11)
    return Finding(name="python", found=found, remedy="" if right else "use Python 3.11")


def workshop() -> Finding:
    """The packages that stages import."""
    return _packages("workshop", WORKSHOP)


def office() -> Finding:
    """The packages that a worker imports."""
    return _packages("office", OFFICE)


def torch() -> Finding:
    """PyTorch and the GPUs that it was built for and that are there."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Finding(name="torch", found="not installed", remedy="make setup")
    return Finding(name="torch", found=f"{version}, {_cuda_build()}")


def gpu() -> Finding:
    """NVIDIA's GPUs by name."""
    asked = _ask("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    if asked.ok:
        return Finding(name="gpu", found="; ".join(asked.text.splitlines()), needed=False)
    remedy = "only for large models: install NVIDIA's driver; small recipes train on the CPU"
    return Finding(name="gpu", found="none", remedy=remedy, needed=False)


def docker() -> Finding:
    """Docker's client, and whether its daemon answers."""
    asked = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if asked.ok:
        return Finding(name="docker", found=f"daemon {asked.text}", needed=False)
    if asked.missing:
        found, remedy = "no client", "install docker, or go on with `--launcher process`"
    else:
        found = f"client, but no daemon: {asked.text or 'no answer'}"
        remedy = "start dockerd and join its group, or go on with `--launcher process`"
    return Finding(name="docker", found=found, remedy=remedy, needed=False)


def git() -> Finding:
    """Git itself."""
    asked = _ask("git", "--version")
    if asked.ok:
        return Finding(name="git", found=asked.text.removeprefix("git version "))
    return Finding(name="git", found="not there", remedy="install git")


def remote(home: Path, environ: Mapping[str, str]) -> Finding:
    """The DVC remote: written to, reached, or neither."""
    address = environ.get("VOXMILL_REMOTE") or str(home / "remote")
    if "://" in address:
        return _tried(address, environ)
    folder = _nearest(Path(address))
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding(name="dvc remote", found=f"{address} can be written to")
    remedy = f"make {folder} writeable, or set VOXMILL_REMOTE"
    return Finding(name="dvc remote", found=f"{folder} cannot be written to", remedy=remedy)


def disk(home: Path) -> Finding:
    """Free space where runs, cache and remote lie."""
    free = shutil.disk_usage(_nearest(home)).free
    remedy = f"free {DISK_BYTES / GIB:.0f} GiB, or set VOXMILL_HOME to a larger disk"
    found = f"{free / GIB:.1f} GiB free at {home}"
    return Finding(name="disk", found=found, remedy="" if free >= DISK_BYTES else remedy)


def memory() -> Finding:
    """Memory that is free or can be freed, within the limit of a container."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text("ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text("ascii").strip()).isdecimal():
        free = min(free, int(text))
    remedy = "" if free >= MEMORY_BYTES else f"close programs until {MEMORY_BYTES / GIB:.0f} GiB"
    return Finding(name="memory", found=f"{free / GIB:.1f} GiB to be had", remedy=remedy)


def cores() -> Finding:
    """CPU cores that this process may use."""
    return Finding(name="cores", found=str(len(os.sched_getaffinity(0))))


def espeak() -> Finding:
    """The speech synthesiser of the source `synthetic`; loaded in a process of its own."""
    if find_spec("espeakng_loader") is None:
        return Finding(name="espeak-ng", found="not installed", remedy="make setup")
    asked = _ask(sys.executable, "-c", _ESPEAK)
    if asked.ok:
        return Finding(name="espeak-ng", found=_version("espeakng-loader"))
    last = (asked.text.splitlines() or ["no answer"])[-1]
    return Finding(name="espeak-ng", found=f"does not load: {last}", remedy="make setup")


def examine(environ: Mapping[str, str], project: Path) -> list[Finding]:
    """Every finding, the slow ones side by side.

    Args:
        environ: The environment; VOXMILL_HOME and VOXMILL_REMOTE are read.
        project: The project's folder.
    """
    from concurrent.futures import ThreadPoolExecutor

    home = Path(environ.get("VOXMILL_HOME") or project / ".voxmill").absolute()
    checks: list[Callable[[], Finding]] = [python, workshop, office, torch, espeak, git]
    checks += [lambda: remote(home, environ), lambda: disk(home), memory, cores, gpu, docker]
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        return list(pool.map(lambda check: check(), checks))


@dataclass(frozen=True)
class _Answer:
    ok: bool
    text: str
    missing: bool = False


def _ask(*command: str) -> _Answer:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except FileNotFoundError:
        return _Answer(ok=False, text="", missing=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Answer(ok=False, text=str(error))
    if done.returncode == 0:
        return _Answer(ok=True, text=done.stdout.strip())
    return _Answer(ok=False, text=(done.stderr.strip() or done.stdout.strip()))


def _packages(name: str, modules: Sequence[str]) -> Finding:
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        found = f"missing: {', '.join(missing)}"
        return Finding(name=name, found=found, remedy=f"make setup, or pip install voxmill[{name}]")
    return Finding(name=name, found=f"{len(modules)} packages")


def _is_there(module: str) -> bool:
    parent, _, rest = module.partition(".")
    if find_spec(parent) is None:
        return False
    return not rest or find_spec(module) is not None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _cuda_build() -> str:
    """Which CUDA torch was built for, read from its version file: importing it takes a second."""
    spec = find_spec("torch")
    file = Path(spec.origin).parent / "version.py" if spec and spec.origin else None
    text = file.read_text("utf-8") if file and file.is_file() else ""
    line = next((one for one in text.splitlines() if one.startswith("cuda")), "")
    value = line.partition("=")[2].strip().strip("'\"")
    return f"built for CUDA {value}" if value not in ("", "None") else "built for the CPU"


def _tried(address: str, environ: Mapping[str, str]) -> Finding:
    """A remote elsewhere: whether it answers, is the right one, and lets us in."""
    from voxmill.errors import VoxmillError
    from voxmill.runs.remote_access import RemoteAccess, check_remote_url
    from voxmill.runs.remote_reach import reach

    try:
        check_remote_url(address)
        access = RemoteAccess.from_environ(environ)
        server = urlsplit(access.endpoint_url if address.startswith("s3:") else address)
        if server.hostname:
            port = server.port or {"ssh": 22, "http": 80}.get(server.scheme, 443)
            socket.create_connection((server.hostname, port), timeout=PATIENCE_SECONDS).close()
        reach(address, access)
    except OSError as error:
        remedy = f"see that {server.netloc} answers, or set VOXMILL_REMOTE"
        return Finding(name="dvc remote", found=f"{address}: {error}", remedy=remedy)
    except VoxmillError as error:
        return Finding(name="dvc remote", found="refused", remedy=str(error))
    return Finding(name="dvc remote", found=f"{address} lets us in")


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
