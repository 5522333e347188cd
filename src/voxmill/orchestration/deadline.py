"""The alert for runs that take too long: told of, never stopped.

Airflow's scheduler notices the missed deadline and lets the triggerer call `tell_late`, which is
therefore a coroutine and importable by name. A run that has ended by then is not reported: Airflow
withdraws the deadline of a run that succeeded in time, and `tell_late` leaves out one that failed,
of which people know already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from voxmill.orchestration.channels.configured import announce
from voxmill.orchestration.notice import Event, Notice
from voxmill.orchestration.ui_links import dag_run_url

_ENDED = frozenset({"success", "failed"})


def deadline_alert(recipe: str, hours: float) -> DeadlineAlert:
    """The argument `deadline` of a recipe's DAG.

    Args:
        recipe: Name of the recipe.
        hours: Counted from when the run was queued.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        callback=AsyncCallback(tell_late, kwargs={"recipe": recipe, "hours": hours}),
        name=f"{recipe} is late",
    )


async def tell_late(recipe: str, hours: float, context: Mapping[str, Any]) -> str:
    """Tells people that a run is not done in time; called by Airflow's triggerer.

    Args:
        recipe: Name of the recipe.
        hours: What the recipe allows.
        context: What Airflow says of the DAG run, under `dag_run`.

    Returns:
        What was done, for Airflow's records.
    """
    run = context["dag_run"]
    if run["state"] in _ENDED:
        return f"not told: the run has ended ({run['state']})"
    notice = Notice(
        event=Event.LATE,
        recipe=recipe,
        run=run["dag_run_id"],
        reason=f"Not done {hours:g} hours after it was queued; it goes on",
        advice="see which task it is at and read its log; `schedule.deadline_hours` is the limit",
        links=(("Run", dag_run_url(run["dag_id"], run["dag_run_id"])),),
    )
    await asyncio.to_thread(announce, notice)
    return "told"
