"""An Airflow that plays one DAG run from a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxmill.errors import EngineMissing
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction, TaskState


@dataclass(frozen=True)
class Moment:
    """What a look at the run finds."""

    state: str
    tasks: Sequence[TaskState] = ()
    actions: Sequence[RequiredAction] = ()


@dataclass
class FakeAirflow:
    """Gives one moment after the other, the last one for ever; None is a server that is away.

    Attributes:
        log_lines: What each task's log says.
        triggered: The configurations that runs were started with.
    """

    moments: Sequence[Moment | None] = (Moment("success"),)
    log_lines: Sequence[dict] = ()
    found_dags: dict = field(default_factory=lambda: {"digits": {"is_paused": False}})
    errors: dict = field(default_factory=dict)
    url: str = "http://airflow"
    triggered: list = field(default_factory=list)
    looks: int = 0

    def dag_run(self, dag: str, run: str) -> DagRunState:
        self.now = self.moments[min(self.looks, len(self.moments) - 1)]
        self.looks += 1
        if self.now is None:
            raise EngineMissing("No Airflow answers.")
        return DagRunState(dag=dag, id=run, state=self.now.state)

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        return list(self.now.tasks)

    def required_actions(self, dag: str, run: str) -> list[RequiredAction]:
        return list(self.now.actions)

    def log(self, *_: str, **__: int) -> list[dict]:
        return list(self.log_lines)

    def dags(self) -> dict:
        return self.found_dags

    def import_errors(self) -> dict:
        return self.errors

    def pause(self, dag: str, *, paused: bool = True) -> None:
        self.found_dags[dag] = {"is_paused": paused}

    def trigger(self, dag: str, conf: dict, *, run: str | None = None) -> DagRunState:
        self.triggered.append(dict(conf))
        return DagRunState(dag=dag, id=run or "manual__1", state="queued")

    def page(self, dag: str, run: str = "") -> str:
        return f"{self.url}/dags/{dag}" + (f"/runs/{run}" if run else "")
