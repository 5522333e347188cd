"""A whole DAG run in this process, without scheduler or server, and what became of it.

Call `airflow_home.enter` first: this file imports Airflow when it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from voxmill.errors import UsageError

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context


@dataclass(frozen=True, kw_only=True)
class TaskEnd:
    """How one task of a DAG run ended."""

    task: str
    state: str
    """Airflow's word: `success`, `failed`, `upstream_failed` and so on."""
    tries: int
    seconds: float
    reason: str = ""
    """What the task raised; empty unless it failed."""
    exit_code: int = 0
    """As in `voxmill.errors`; 1 where the task failed of anything else."""


@dataclass(frozen=True, kw_only=True)
class DagRunEnd:
    """How a DAG run ended."""

    dag: str
    airflow_run_id: str
    state: str
    tasks: tuple[TaskEnd, ...]
    """In the order in which they started."""
    results: Mapping[str, Mapping[str, Any]]
    """What each task returned, by task id."""

    @property
    def succeeded(self) -> bool:
        """Every task did what it should."""
        return self.state == "success"

    @property
    def failed_task(self) -> TaskEnd | None:
        """The first task that failed by itself."""
        return next((task for task in self.tasks if task.state == "failed"), None)


def load_dag(dags_folder: Path, dag_id: str) -> DAG:
    """The DAG of that id.

    Raises:
        UsageError: The folder has an import error or no such DAG.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(dags_folder))
    if bag.import_errors:
        file, trace = next(iter(bag.import_errors.items()))
        raise UsageError(f"{file} cannot be imported by Airflow:\n{trace}")
    if dag_id not in bag.dags:
        there = ", ".join(sorted(bag.dags)) or "none"
        raise UsageError(
            f"No DAG {dag_id!r} in {dags_folder}; there are: {there}. "
            f"A new recipe becomes one with `make graph`."
        )
    return bag.dags[dag_id]


def rehearse(dag: DAG, conf: Mapping[str, JsonValue]) -> DagRunEnd:
    """Runs the DAG from its first task to its last, here and now.

    Args:
        dag: As `load_dag` gives it.
        conf: Overrides by `section.key`, as Airflow's form would send them.

    Raises:
        UsageError: A value is against the form's schema.
    """
    from airflow.sdk.exceptions import ParamValidationError

    _set_levels()
    listener = _Listener()
    dag.on_failure_callback = []
    for task in dag.tasks:
        task.attended = False  # no server shows questions, nor links
        task.operator_extra_links = ()
        task.names_run_in_log = False  # there is one run, and a person reads the lines
        task.on_failure_callback = [listener.failed]
        task.on_success_callback = [listener.succeeded]
    try:
        run = dag.test(run_conf=dict(conf) or None)
    except ParamValidationError as error:
        raise UsageError(f"DAG {dag.dag_id}: {error}") from error
    ends = [_end(one, listener.errors) for one in sorted(run.get_task_instances(), key=_started)]
    return DagRunEnd(
        dag=dag.dag_id,
        airflow_run_id=run.run_id,
        state=str(run.state),
        tasks=tuple(ends),
        results=listener.results,
    )


def _set_levels() -> None:
    """What voxmill says, and what others warn of."""
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("voxmill").setLevel(logging.INFO)
    # While a task waits for its retry, the loop would warn once a second that nothing can run.
    logging.getLogger("airflow.sdk.definitions.dag").setLevel(logging.ERROR)


class _Listener:
    """Hears what a DAG run in this process would otherwise only log or keep as XCom."""

    def __init__(self) -> None:
        self.errors: dict[str, BaseException] = {}
        self.results: dict[str, Mapping[str, Any]] = {}

    def failed(self, context: Context) -> None:
        self.errors[context["ti"].task_id] = context["exception"]

    def succeeded(self, context: Context) -> None:
        task = context["ti"].task_id
        self.results[task] = context["ti"].xcom_pull(task_ids=task)


def _end(instance: Any, errors: Mapping[str, BaseException]) -> TaskEnd:
    failed = str(instance.state) == "failed"
    error = errors.get(instance.task_id) if failed else None
    return TaskEnd(
        task=instance.task_id,
        state=str(instance.state),
        tries=instance.try_number,
        seconds=instance.duration or 0.0,
        reason="" if error is None else str(error) or type(error).__name__,
        exit_code=getattr(error, "exit_code", 1) if failed else 0,
    )


def _started(instance: Any) -> tuple[bool, str]:
    return (instance.start_date is None, str(instance.start_date))
