"""Prometheus, Alertmanager and the exporter as plain processes on this machine's loopback.

They start together, are ready together and end together; their configurations are those in
`monitoring/`, with the addresses of this start put in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from voxmill.errors import EngineMissing
from voxmill.exporting.monitor_setup import HOST, MonitorOptions, write_configuration

DEBIAN_PACKAGES = "prometheus prometheus-alertmanager"
READY_SECONDS = 30.0
GRACE_SECONDS = 10.0
RETENTION = "90d"
_PROGRAMS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),  # Debian's name, upstream's name
}
_LAST_LINES = 15


class Monitors:
    """The three processes, from `with` to its end.

    Raises:
        EngineMissing: A program is not installed, or does not come up.
    """

    def __init__(self, options: MonitorOptions) -> None:
        self._options = options
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        programs = find_programs()
        write_configuration(self._options)
        try:
            for name, command in self._commands(programs).items():
                self.start(name, command)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def urls(self) -> dict[str, str]:
        """Address by name of the process."""
        ports = self._options.ports
        return {
            "exporter": f"http://{HOST}:{ports.exporter}",
            "prometheus": f"http://{HOST}:{ports.prometheus}",
            "alertmanager": f"http://{HOST}:{ports.alertmanager}",
        }

    def start(self, name: str, command: Sequence[str]) -> None:
        """Starts one of them; what it says goes to `<state>/logs/<name>.log`."""
        logs = self._options.state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self._options.exporter_folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def keep(self) -> None:
        """Returns only when one of them ends.

        Raises:
            EngineMissing: One has ended; its last lines are in the message.
        """
        while True:
            self.require_alive()
            time.sleep(0.5)

    def require_alive(self) -> None:
        """Makes sure that all of them are there.

        Raises:
            EngineMissing: One has ended; its last lines are in the message.
        """
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None:
                raise EngineMissing(f"{name} has ended with {code}. {self._last_lines(name)}")

    def stop(self) -> None:
        """Ends all that still live, in the reverse order of their start."""
        alive = [one for one in reversed(self._processes.values()) if one.poll() is None]
        for process in alive:
            process.terminate()
        for process in alive:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """One of them, for whoever ends it or looks at it."""
        return self._processes[name]

    def _commands(self, programs: dict[str, str]) -> dict[str, list[str]]:
        state, ports = self._options.state, self._options.ports
        return {
            "exporter": list(self._options.exporter_command),
            "alertmanager": [
                programs["alertmanager"],
                f"--config.file={state / 'alertmanager' / 'alertmanager.yml'}",
                f"--storage.path={state / 'alertmanager' / 'data'}",
                f"--web.listen-address={HOST}:{ports.alertmanager}",
                "--cluster.listen-address=",  # one alone needs no peers
            ],
            "prometheus": [
                programs["prometheus"],
                f"--config.file={state / 'prometheus' / 'prometheus.yml'}",
                f"--storage.tsdb.path={state / 'prometheus' / 'data'}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address={HOST}:{ports.prometheus}",
            ],
        }

    def _wait_until_ready(self) -> None:
        pages = {"exporter": "/metrics", "prometheus": "/-/ready", "alertmanager": "/-/ready"}
        deadline = time.monotonic() + READY_SECONDS
        for name, page in pages.items():
            while not _answers(self.urls[name] + page):
                self.require_alive()
                if time.monotonic() > deadline:
                    raise EngineMissing(
                        f"{name} does not answer at {self.urls[name]} after {READY_SECONDS:.0f} s. "
                        f"{self._last_lines(name)}"
                    )
                time.sleep(0.1)
        self.require_alive()  # what answers may be another's, and ours ended for the taken port

    def _last_lines(self, name: str) -> str:
        log = self._options.state / "logs" / f"{name}.log"
        lines = log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)])


def find_programs() -> dict[str, str]:
    """Path by name of the programs that voxmill does not bring along.

    Raises:
        EngineMissing: One or more are not on PATH.
    """
    found = {
        name: next((path for path in map(shutil.which, names) if path), None)
        for name, names in _PROGRAMS.items()
    }
    missing = sorted(name for name, path in found.items() if path is None)
    if missing:
        raise EngineMissing(
            f"Not on PATH: {', '.join(missing)}. Install them (Debian and Ubuntu: apt-get install "
            f"{DEBIAN_PACKAGES}), then start again. Training needs neither."
        )
    return {name: path for name, path in found.items() if path}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def exporter_command(port: int, statsd_port: int) -> list[str]:
    """Starts the exporter of this installation; port 0 for StatsD: none."""
    command = [sys.executable, "-m", "voxmill.cli.main", "exporter"]
    return [*command, "--port", str(port), "--statsd-port", str(statsd_port)]
