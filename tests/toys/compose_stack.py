"""docker-compose.yml for real, with the images that can be built without a registry.

PostgreSQL and Redis come from Debian's packages (`servers/`); Prometheus, Alertmanager, Grafana and
the S3 server stay out, for their images only a registry has.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toys.airflow_server import free_port, wait
from toys.docker_engine import DockerEngine
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction
from voxmill.orchestration.airflow_api import AirflowApi
from voxmill.orchestration.compose import make_secrets

SERVERS = Path(__file__).parent / "servers"
SERVERS_IMAGE = "voxmill-test-servers"
COMPOSE = Path(str(find_spec("compose").origin)).with_name("docker-compose")
OWNER = 1234
"""Neither root nor whoever the images know."""
SERVICES = (
    *("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    "exporter",
)
WORKERS = ("worker-cpu", "worker-gpu")
UP_SECONDS = 600
OVERRIDE = {
    "services": {
        "postgres": {"image": SERVERS_IMAGE},
        "redis": {"image": SERVERS_IMAGE},
    }
}


@dataclass
class ComposeStack:
    """The services, their settings and the folders that they share with the host."""

    engine: DockerEngine
    folder: Path
    project: Path
    environ: dict[str, str] = field(repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environ['VOXMILL_AIRFLOW_PORT']}"

    def api(self) -> AirflowApi:
        logins = json.loads((self.folder / "secrets" / "airflow_logins.json").read_text())
        return AirflowApi(self.url, "admin", logins["admin"])

    def up(self, *services: str, **settings: str) -> None:
        """Starts these services with what they need, and waits until all are well."""
        self.environ |= settings
        done = self.compose("up", "--detach", "--wait", *services, timeout_seconds=UP_SECONDS)
        assert done.returncode == 0, f"{done.stderr[-3000:]}\n{self.said()}"

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "20")

    def said(self) -> str:
        """The end of what every service wrote."""
        return self.compose("logs", "--no-color", "--tail", "40").stdout[-12000:]

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in a service's container, as a person types it."""
        return self.compose("exec", "--no-TTY", service, *command)

    def compose(
        self, *arguments: str, timeout_seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        files = ["--file", str(self.project / "docker-compose.yml")]
        files += ["--file", str(self.folder / "override.json")]
        return subprocess.run(
            [str(COMPOSE), "--env-file", "/dev/null", *files, *arguments],
            env={**_plain_environ(), "DOCKER_HOST": self.engine.host, **self.environ},
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )

    def wait_for_run(self, run: DagRunState, *, timeout_seconds: float = 600) -> DagRunState:
        """The run when it is over."""

        def over() -> DagRunState | None:
            found = self.api().dag_run(run.dag, run.id)
            return found if found.over else None

        return wait(over, timeout_seconds, f"{run.id} to end", pause=1.0)

    def wait_for_action(self, run: DagRunState, *, timeout_seconds: float = 600) -> RequiredAction:
        """The first question of the run that nobody has answered."""

        def asked() -> RequiredAction | None:
            state = self.api().dag_run(run.dag, run.id)
            assert not state.over, f"{state}\n{self.tasks(run)}\n{self.said()}"
            found = self.api().required_actions(run.dag, run.id)
            return next((one for one in found if not one.answered), None)

        return wait(asked, timeout_seconds, f"a question of {run.id}", pause=1.0)

    def tasks(self, run: DagRunState) -> dict[str, dict[str, Any]]:
        """What Airflow says of each task, by task id."""
        path = f"/api/v2/dags/{run.dag}/dagRuns/{run.id}/taskInstances"
        found = self.api()._asked("GET", path)["task_instances"]
        return {one["task_id"]: one for one in found}


@contextmanager
def compose_stack(engine: DockerEngine, folder: Path, project: Path) -> Iterator[ComposeStack]:
    """A stack that nobody has started yet; gone afterwards.

    Args:
        engine: Has the images.
        folder: For homes, data, secrets.
        project: The checkout; belongs to `OWNER` afterwards.
    """
    for name in ("home", "data"):
        (folder / name).mkdir(parents=True)
    make_secrets(folder / "secrets")
    (folder / "override.json").write_text(json.dumps(OVERRIDE))
    for place in (folder / "home", folder / "data", project):
        subprocess.run(["chown", "--recursive", f"{OWNER}:{OWNER}", str(place)], check=True)
    stack = ComposeStack(
        engine,
        folder,
        project,
        {
            "COMPOSE_PROJECT_NAME": "voxmill-proof",
            "VOXMILL_HOME": str(folder / "home"),
            "VOXMILL_PROJECT": str(project),
            "VOXMILL_DATA": str(folder / "data"),
            "VOXMILL_SECRETS": str(folder / "secrets"),
            "VOXMILL_DOCKER_SOCKET": str(engine.socket),
            "VOXMILL_UID": str(OWNER),
            "VOXMILL_GID": str(OWNER),
            "VOXMILL_AIRFLOW_PORT": str(free_port()),
        },
    )
    try:
        yield stack
    finally:
        stack.down()


def build_servers(engine: DockerEngine) -> None:
    """The image of PostgreSQL and Redis, made where it is not there yet."""
    if not engine.has(SERVERS_IMAGE):
        base = f"BASE_IMAGE={engine.build_base()}"
        engine.docker("build", "--quiet", "--build-arg", base, "--tag", SERVERS_IMAGE, str(SERVERS))


def _plain_environ() -> Mapping[str, str]:
    foreign = ("VOXMILL_", "AIRFLOW", "COMPOSE_", "DOCKER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
