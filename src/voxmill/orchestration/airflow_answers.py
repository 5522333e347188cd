"""What Airflow's REST API answers, as far as voxmill asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DagRunState:
    """One run of a DAG."""

    dag: str
    id: str
    state: str
    """`queued`, `running`, `success` or `failed`."""
    conf: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Nothing more happens."""
        return self.state in {"success", "failed"}


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """One task of a DAG run."""

    task: str
    state: str
    """Airflow's word; empty where the task has not been scheduled yet."""
    try_number: int
    seconds: float | None
    map_index: int = -1


@dataclass(frozen=True, kw_only=True)
class RequiredAction:
    """A question to a person that a task waits for."""

    dag: str
    run: str
    task: str
    map_index: int
    subject: str
    body: str
    options: tuple[str, ...]
    params: Mapping[str, Any]
    """The form below the question: value, description and schema by name."""
    answered: bool
    chosen: tuple[str, ...] = ()
    answered_by: str = ""


def read_run(found: Mapping[str, Any]) -> DagRunState:
    """A run, from Airflow's words."""
    return DagRunState(
        dag=found["dag_id"], id=found["dag_run_id"], state=found["state"], conf=found["conf"] or {}
    )


def read_action(found: Mapping[str, Any]) -> RequiredAction:
    """A question to a person, from Airflow's words."""
    task, by = found["task_instance"], found.get("responded_by_user") or {}
    return RequiredAction(
        dag=task["dag_id"],
        run=task["dag_run_id"],
        task=task["task_id"],
        map_index=task["map_index"],
        subject=found["subject"],
        body=found["body"] or "",
        options=tuple(found["options"]),
        params=found["params"],
        answered=found["response_received"],
        chosen=tuple(found["chosen_options"] or ()),
        answered_by=by.get("name", ""),
    )


def read_task(found: Mapping[str, Any]) -> TaskState:
    """A task, from Airflow's words."""
    return TaskState(
        task=found["task_id"],
        state=found["state"] or "",
        try_number=found["try_number"],
        seconds=found["duration"],
        map_index=found["map_index"],
    )
