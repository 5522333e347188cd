"""What Airflow calls when something happens that people want to hear of.

`tell_failed` hangs on every task: only the task's own process knows the exception, and with it the
reason. It runs when no retry is left. A task whose process was killed outright has no such moment,
so `tell_run_failed` hangs on the DAG: Airflow's DAG processor calls it for each failed run, and it
tells people of those that no task has told of. Who is told is the environment's business, see
`channels`; in runs of `voxmill demo` nobody is, for a person sits before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from voxmill.orchestration.channels.configured import announce
from voxmill.orchestration.notice import Event, Notice, advice_for, one_line
from voxmill.orchestration.ui_links import (
    dag_run_url,
    required_actions_url,
    run_url,
    task_url,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

TOLD = "told"
"""XCom of a failed task that has told people."""
_KILLED = "The task's process ended without a word: it was killed, or its machine was lost"


def tell_failed(context: Context) -> None:
    """Tells people that a run's task has failed for good; for `on_failure_callback`."""
    instance = context["ti"]
    error = context.get("exception")
    instance.xcom_push(key=TOLD, value=True)
    announce(
        Notice(
            event=Event.FAILED,
            recipe=instance.dag_id,
            run=instance.run_id,
            stage=instance.task_id,
            reason=one_line(str(error) or type(error).__name__) if error else _KILLED,
            advice=advice_for(getattr(error, "exit_code", 1)),
            links=_links(instance, "Log"),
        )
    )


def tell_run_failed(context: Context) -> None:
    """Tells people of a failed run whose tasks could not; for the DAG's `on_failure_callback`."""
    dag_id, run_id, instance = context["dag"].dag_id, context["run_id"], context.get("ti")
    failed = _failed_tasks(instance, dag_id, run_id)
    if any(instance.xcom_pull(task_ids=task, key=TOLD) for task in failed):
        return
    announce(
        Notice(
            event=Event.FAILED,
            recipe=dag_id,
            run=run_id,
            stage=", ".join(failed),
            reason=_KILLED,
            advice=advice_for(1),
            links=(("Run", dag_run_url(dag_id, run_id)),),
        )
    )


def tell_sync_failed(context: Context) -> None:
    """Tells people that a source cannot be read; once, not every 15 minutes."""
    instance = context["ti"]
    if _failed_before(instance):
        return
    error = context.get("exception")
    announce(
        Notice(
            event=Event.SYNC_FAILED,
            recipe=instance.dag_id.removeprefix("sync_"),
            run=instance.run_id,
            reason=one_line(str(error) or type(error).__name__) if error else _KILLED,
            advice="bring the source back or correct the recipe; nobody is told again until it "
            "could be read once",
            links=_links(instance, "Log"),
        )
    )


def tell_released(context: Context) -> None:
    """Tells people of a new version; for the release task's `on_success_callback`."""
    instance = context["ti"]
    summary = instance.xcom_pull(task_ids=instance.task_id)
    if not isinstance(summary, Mapping) or not summary.get("fresh"):
        return
    recipe, _, version = str(summary["tag"]).partition("@")
    announce(
        Notice(
            event=Event.RELEASED,
            recipe=instance.dag_id,
            run=instance.run_id,
            reason=f"{recipe} {version} is the champion now: git checkout {summary['tag']} && "
            "dvc pull",
            links=_links(instance, "Run"),
        )
    )


def notifiers(event: Event) -> list[BaseNotifier]:
    """For `HITLOperator(notifiers=…)`: tells people that their answer is waited for.

    Args:
        event: `Event.GATE` or `Event.APPROVAL`.
    """
    return [AskedFor(event)]


class AskedFor(BaseNotifier):  # type: ignore[misc]
    """Tells people that a task waits for their answer, with the question and where to answer.

    Args:
        event: `Event.GATE` or `Event.APPROVAL`.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    def notify(self, context: Context) -> None:
        """Tells; called before the task starts to wait."""
        instance = context["ti"]
        subject = str(getattr(context["task"], "subject", "") or instance.task_id)
        announce(
            Notice(
                event=self.event,
                recipe=instance.dag_id,
                run=instance.run_id,
                stage=instance.task_id,
                reason=one_line(subject),
                advice="answer it in Airflow, under Required Actions",
                links=(("Answer", required_actions_url(instance)), *_links(instance, "Task")),
            )
        )


def _failed_tasks(instance: Any, dag_id: str, run_id: str) -> list[str]:
    """Ids of the run's tasks that failed by themselves; none where no task ever began."""
    if instance is None:
        return []
    states = instance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    return sorted(task for task, state in states.items() if state == "failed")


def _links(instance: Any, name: str) -> tuple[tuple[str, str], ...]:
    url: Callable[[Any], str] = run_url if name == "Run" else task_url
    return ((name, url(instance)),)


def _failed_before(instance: Any) -> bool:
    """Whether the DAG run before this one failed as well."""
    previous = instance.get_previous_dagrun()
    # The enum is a str, but its str() is not its value.
    return previous is not None and previous.state == "failed"
