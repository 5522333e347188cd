"""What a task sees of Airflow while it runs: its context, XComs and the supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

RUN_ID = "manual__2026-11-21T03:00:00+00:00"


@dataclass
class FakeInstance:
    """A task instance that keeps its XComs in a dictionary, by task and key."""

    task_id: str
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)
    id: UUID = field(default_factory=lambda: UUID(int=7))
    dag_id: str = "toy"
    run_id: str = RUN_ID
    map_index: int = -1
    end_date: datetime | None = None
    task: Any = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[(self.task_id, key)] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.xcoms.get((task_ids, key))


@dataclass
class FakeSupervisor:
    """Keeps what a task told its supervisor; stands in for Airflow's SUPERVISOR_COMMS."""

    told: list[Any] = field(default_factory=list)

    def send(self, msg: Any) -> None:
        self.told.append(msg)


def context(task: Any, xcoms: dict[tuple[str, str], Any] | None = None, **conf: Any) -> dict:
    """The context of a task in a DAG run with such a configuration."""
    xcoms = {} if xcoms is None else xcoms
    instance = FakeInstance(task.task_id, xcoms, task=task)
    return {
        "ti": instance,
        "task_instance": instance,
        "task": task,
        "run_id": RUN_ID,
        "dag_run": SimpleNamespace(conf=conf),
    }


def answered(option: str, who: str | None = "ana", **inputs: Any) -> dict[str, Any]:
    """What Airflow hands over when a person has answered."""
    return {
        "chosen_options": [option],
        "params_input": inputs,
        "responded_at": datetime(2026, 11, 21, 4, tzinfo=UTC),
        "responded_by_user": {"id": who, "name": who} if who else None,
        "timedout": False,
    }


TIMED_OUT = {"error": "The response timeout has passed.", "error_type": "timeout"}
