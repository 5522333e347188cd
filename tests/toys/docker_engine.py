"""A Docker engine of a test's own: its socket, its data, its restarts.

`VOXMILL_TEST_ENGINE` may name a folder where the engine's data stay from one test run to the next,
so that images are built once; CI builds them anew.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BASE_IMAGE = "voxmill-base:bookworm"
START_SECONDS = 60.0
PROGRAMS = ("dockerd", "containerd", "runc", "debootstrap", "iptables")


class DockerEngine:
    """One dockerd.

    Args:
        folder: For its socket, its data and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts dockerd, and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["dockerd", "--live-restore", "--host", self.host]
        command += ["--data-root", str(self.folder / "data"), "--pidfile", str(self._pid_file)]
        command += ["--exec-root", str(self.folder / "exec")]
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while self.docker("version", check=False).returncode != 0:
            tail = (self.folder / "dockerd.log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"dockerd ended:\n{tail}"
            assert time.monotonic() < deadline, f"dockerd does not answer:\n{tail}"
            time.sleep(0.2)
        self.socket.chmod(0o666)  # a test's caller may be another user

    def stop(self) -> None:
        """Ends dockerd; containers go on, as `--live-restore` says."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)
            self._process = None

    def close(self) -> None:
        """Ends every container and dockerd."""
        if self._process is not None:
            left = self.docker("ps", "--all", "--quiet").stdout.split()
            if left:
                self.docker("rm", "--force", *left)
            self.stop()

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command of Docker's client."""
        return subprocess.run(
            [_client(), *arguments],
            env={**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=check,
        )

    def has(self, image: str) -> bool:
        """Whether the engine has an image of that name."""
        return bool(self.docker("images", "--quiet", image).stdout.strip())

    def build_base(self) -> str:
        """The image of `images/build-base`, made where it is not there yet."""
        if not self.has(BASE_IMAGE):
            subprocess.run(
                [str(REPOSITORY / "images" / "build-base"), BASE_IMAGE],
                env=_with_client({**os.environ, "DOCKER_HOST": self.host}),
                check=True,
            )
        return BASE_IMAGE

    def build_images(self) -> None:
        """The images of `make images`, from the code as it is."""
        subprocess.run(
            ["make", "--no-print-directory", "images", f"BASE_IMAGE={self.build_base()}"],
            env=_with_client({**os.environ, "DOCKER_HOST": self.host}),
            cwd=REPOSITORY,
            check=True,
        )

    @property
    def _pid_file(self) -> Path:
        return self.folder / "docker.pid"


@contextmanager
def docker_engine(folder: Path) -> Iterator[DockerEngine]:
    """An engine that is there as long as the block runs."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    assert not missing, (
        f"{', '.join(missing)} not found: apt-get install -y --no-install-recommends docker.io "
        f"containerd runc debootstrap iptables"
    )
    kept = os.environ.get("VOXMILL_TEST_ENGINE")
    engine = DockerEngine(Path(kept) if kept else folder)
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


def _client() -> str:
    """The client that Debian's package brings; an older one may come first on PATH."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def _with_client(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, "PATH": f"{Path(_client()).parent}:{environ['PATH']}"}
