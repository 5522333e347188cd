"""What a recipe's DAG and its tasks are told besides their work: schedule, limits, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from voxmill.orchestration.callbacks import tell_failed, tell_run_failed
from voxmill.orchestration.deadline import deadline_alert
from voxmill.orchestration.pools import pool_settings
from voxmill.orchestration.queues import queue_of
from voxmill.orchestration.schedule import airflow_schedule

MARGIN = timedelta(hours=1)
"""Restoring inputs, committing and pushing outputs, beside the stage itself."""
_RESOURCES = "resources."


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


def stage_settings(meta: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a stage's task.

    Args:
        meta: The stage's `meta` in dvc.yaml.
        resources: The recipe's section of that name; what it leaves open is as in `meta`.
    """
    needs = needs_of(meta, resources)
    return {
        "execution_timeout": last_resort(needs),
        "queue": queue_of(needs),
        **({"retries": needs["retries"]} if needs.get("retries") is not None else {}),
        **pool_settings(int(needs.get("gpus") or 0)),
    }


def needs_of(
    meta: Mapping[str, Any],
    resources: Mapping[str, Any],
    conf: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a stage needs of a machine: `meta`, over it the recipe, over that one run's form.

    Args:
        meta: The stage's `meta` in dvc.yaml.
        resources: The recipe's section of that name; null leaves what `meta` says.
        conf: Configuration of one DAG run, with fields by `section.key`.
    """
    asked = {
        key.removeprefix(_RESOURCES): value
        for key, value in (conf or {}).items()
        if key.startswith(_RESOURCES)
    }
    stated = {**resources, **asked}
    return {**meta, **{key: value for key, value in stated.items() if value is not None}}


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
