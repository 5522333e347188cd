"""What a recipe's DAG and its tasks are told besides their work: schedule, limits, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from voxmill.orchestration.callbacks import tell_failed, tell_run_failed
from voxmill.orchestration.deadline import deadline_alert
from voxmill.orchestration.needs import needs_of
from voxmill.orchestration.pod_settings import PodSettings
from voxmill.orchestration.pods import executor_config
from voxmill.orchestration.pools import pool_settings
from voxmill.orchestration.queues import queue_of
from voxmill.orchestration.schedule import airflow_schedule

MARGIN = timedelta(hours=1)
"""Restoring inputs, committing and pushing outputs, beside the stage itself."""
LISTED_BY = "ingest"
"""The stage whose image can list a source, because it reads one."""


def dag_settings(recipe: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the recipe's DAG: what its section `schedule` says, and who hears of failures.

    Args:
        recipe: Name of the recipe; also the DAG's id.
        entry: The recipe in pipeline.json.
    """
    schedule = entry["schedule"]
    hours = schedule.get("deadline_hours")
    return {
        "schedule": airflow_schedule(recipe, schedule),
        "max_active_runs": schedule.get("max_active_runs", 1),
        "on_failure_callback": [tell_run_failed],
        **({} if hours is None else {"deadline": deadline_alert(recipe, hours)}),
    }


def task_defaults() -> dict[str, Any]:
    """What every task of a recipe's DAG has: who is told, and which run goes first.

    Where slots are scarce, the task that has most work behind it goes first, so that a run that has
    begun is finished before the next one takes the GPU.
    """
    return {"on_failure_callback": [tell_failed], "weight_rule": "upstream"}


def stage_settings(
    meta: Mapping[str, Any], resources: Mapping[str, Any], pods: PodSettings | None = None
) -> dict[str, Any]:
    """Arguments of a stage's task.

    Args:
        meta: The stage's `meta` in dvc.yaml.
        resources: The recipe's section of that name; what it leaves open is as in `meta`.
        pods: What the cluster has; None where tasks are no pods.
    """
    needs = needs_of(meta, resources)
    return {
        "execution_timeout": last_resort(needs),
        "queue": queue_of(needs),
        **({"retries": needs["retries"]} if needs.get("retries") is not None else {}),
        **pool_settings(int(needs.get("gpus") or 0)),
        **({} if pods is None else {"executor_config": executor_config(needs, pods)}),
    }


def listing_settings(entry: Mapping[str, Any], pods: PodSettings | None) -> dict[str, Any]:
    """Arguments of a task that lists the recipe's source, in the image of the stage that reads it.

    Args:
        entry: The recipe in pipeline.json.
        pods: What the cluster has; None where tasks are no pods.
    """
    if pods is None:
        return {}
    meta = entry["stages"].get(LISTED_BY, {}).get("meta", {})
    needs = needs_of(meta, entry["resources"]) | {"gpus": 0, "queue": None}
    return {"executor_config": executor_config(needs, pods)}


def other_settings(pods: PodSettings | None) -> dict[str, Any]:
    """Arguments of a task that starts nothing.

    Args:
        pods: What the cluster has; None where tasks are no pods.
    """
    return {} if pods is None else {"executor_config": executor_config(None, pods)}


def last_resort(needs: Mapping[str, Any]) -> timedelta | None:
    """When Airflow gives up on a stage's task; None where the stage may take for ever.

    The launcher owns the limit: it asks the job to save, and kills it after its grace. Airflow's
    limit lies behind that, for a launcher that hangs. A task takes it from the run that it belongs
    to, so that a longer limit for one run counts too.

    Args:
        needs: As `needs_of` gives it.
    """
    hours = needs.get("timeout_hours")
    if hours is None:
        return None
    return timedelta(hours=hours, seconds=needs.get("grace_seconds") or 0) + MARGIN
