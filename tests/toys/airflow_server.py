"""`voxmill airflow` as a process of its own, on a toy project or any other, for tests.

with running_server(project.root, folder, environ={...}) as server:
    server.api().trigger("digits", {})
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from toys.toy_project import ToyProject, make_project
from voxmill.launchers.processes import ProcessId, session_members
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction
from voxmill.orchestration.airflow_api import AirflowApi
from voxmill.orchestration.server_keys import LOGINS_FILE
from voxmill.orchestration.server_login import SERVER_FOLDER
from voxmill.orchestration.server_record import read_record

TESTS = Path(__file__).resolve().parents[1]
READY_SECONDS = 180
DAG_FILE = """# Airflow DAGs of a toy project.
from pathlib import Path

from toys.real_dags import dags

globals().update(dags(Path(__file__).parents[1]))
"""
FORM = [
    {
        "key": "audit.max_seconds",
        "section": "audit",
        "schema": {"type": "number", "exclusiveMinimum": 0, "default": 3.0},
    },
    {
        "key": "train.epochs",
        "section": "train",
        "schema": {"type": "integer", "minimum": 1, "default": 2, "description": "Passes."},
    },
]


@dataclass
class RunningServer:
    """A server and the process that keeps it."""

    project: Path
    voxmill_home: Path
    url: str
    environ: Mapping[str, str]
    output: Path
    """What the command printed."""
    process: subprocess.Popen = field(repr=False)

    @property
    def home(self) -> Path:
        """The server's own folder."""
        return self.voxmill_home / SERVER_FOLDER

    @property
    def passwords(self) -> dict[str, str]:
        return json.loads((self.home / LOGINS_FILE).read_text())

    @property
    def components(self) -> dict[str, ProcessId]:
        """First process of each component."""
        record = read_record(self.home)
        return dict(record.components) if record else {}

    @property
    def left(self) -> dict[str, list[ProcessId]]:
        """The living processes of each component that has any."""
        found = {name: session_members(leader) for name, leader in self.components.items()}
        return {name: members for name, members in found.items() if members}

    def api(self, user: str = "admin", password: str | None = None) -> AirflowApi:
        return AirflowApi(self.url, user, password or self.passwords[user])

    def command(
        self, *arguments: str, timeout_seconds: float = 120, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """`voxmill ARGUMENTS` in the project, with the server's environment."""
        return subprocess.run(
            [sys.executable, "-m", "voxmill.cli.main", *arguments],
            cwd=self.project,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )

    def wait_for_run(
        self, run: DagRunState, *, timeout_seconds: float = 180, user: str = "admin"
    ) -> DagRunState:
        """The run when it is over."""
        api = self.api(user)
        return wait(lambda: _over(api.dag_run(run.dag, run.id)), timeout_seconds, f"{run.id}")

    def wait_for_action(
        self, run: DagRunState, *, timeout_seconds: float = 180, user: str = "admin"
    ) -> RequiredAction:
        """The first question of the run that nobody has answered."""
        api = self.api(user)

        def unanswered() -> RequiredAction | None:
            asked = api.required_actions(run.dag, run.id)
            return next((one for one in asked if not one.answered), None)

        return wait(unanswered, timeout_seconds, f"a question of {run.id}")

    def wait_for_task(
        self, run: DagRunState, task: str, states: Sequence[str], *, timeout_seconds: float = 120
    ) -> str:
        """The task's state when it is one of those."""
        api = self.api()

        def reached() -> str | None:
            found = {one.task: one.state for one in api.tasks(run.dag, run.id)}
            return found[task] if found.get(task) in states else None

        return wait(reached, timeout_seconds, f"{task} to be {states}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the command as a person does; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def end(self) -> None:
        """Ends whatever there is; for the end of a test."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for members in self.left.values():
            for member in members:
                member.signal(signal.SIGKILL)


def free_port() -> int:
    """A port of loopback that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(ask: Callable[[], object], timeout_seconds: float, what: str, pause: float = 0.3):
    """What `ask` gives once it gives something."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if (found := ask()) is not None:
            return found
        time.sleep(pause)
    raise AssertionError(f"waited {timeout_seconds} s in vain for {what}")


def toy_project_with_dags(folder: Path, *, auto_release: bool = True) -> ToyProject:
    """A committed toy project with the real worker's DAGs, a form of two fields among them.

    Args:
        folder: New folder of the project and of the orders to its stages.
        auto_release: Whether a run releases by itself, or asks a person before.
    """
    toy = make_project(folder)
    (toy.root / "dags").mkdir()
    (toy.root / "dags" / "played.py").write_text(DAG_FILE)
    for recipe in (toy.root / "recipes").iterdir():  # the real recipe reader knows no d_model
        recipe.write_text(recipe.read_text().replace("model:\n  d_model: 8\n", "model: {}\n"))
    file = toy.root / "pipeline.json"
    snapshot = json.loads(file.read_text())
    for entry in snapshot["recipes"].values():
        entry |= {"form": FORM, "release": {"auto": auto_release}}
    file.write_text(json.dumps(snapshot, indent=1) + "\n")
    toy.git("add", "--all")
    toy.git("commit", "--quiet", "--message=Add DAGs")
    return toy


def server_environ(voxmill_home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command that knows nothing of the tester's own Airflow."""
    outer = {
        name: value
        for name, value in os.environ.items()
        if "AIRFLOW" not in name and not name.startswith("VOXMILL_")
    }
    return {
        **outer,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(TESTS), outer.get("PYTHONPATH")))),
        "VOXMILL_HOME": str(voxmill_home),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "OMP_NUM_THREADS": "1",
        **(environ or {}),
    }


def start_server(
    project: Path,
    voxmill_home: Path,
    *,
    arguments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
) -> RunningServer:
    """Starts the command and does not wait; `ready` does."""
    port = port or free_port()
    inner = server_environ(voxmill_home, environ)
    voxmill_home.mkdir(parents=True, exist_ok=True)
    output = voxmill_home / f"airflow-command-{port}-{time.monotonic_ns()}.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "voxmill.cli.main", "airflow"),
                *("--port", str(port), *arguments),
            ],
            cwd=project,
            env=inner,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return RunningServer(project, voxmill_home, f"http://127.0.0.1:{port}", inner, output, process)


def ready(server: RunningServer) -> RunningServer:
    """Waits until the command says that everything can be triggered."""

    def welcomed() -> bool | None:
        text = server.output.read_text()
        assert server.process.poll() is None, f"the server has ended:\n{text}"
        return True if "end it with Ctrl-C" in text else None

    wait(welcomed, READY_SECONDS, "the server to be ready")
    return server


@contextmanager
def running_server(
    project: Path,
    voxmill_home: Path,
    *,
    arguments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[RunningServer]:
    """A ready server; ended afterwards, whatever happens.

    Args:
        project: The checkout.
        voxmill_home: Its VOXMILL_HOME.
        arguments: More of `voxmill airflow`, such as `--user vera:viewer`.
        environ: More of its environment, such as VOXMILL_AIRFLOW_DB.
        port: Where it listens; by default one that is free.
    """
    server = start_server(project, voxmill_home, arguments=arguments, environ=environ, port=port)
    try:
        yield ready(server)
    finally:
        server.end()


def _over(run: DagRunState) -> DagRunState | None:
    return run if run.over else None
