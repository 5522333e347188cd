"""When Airflow starts a run by itself: by the clock, by its source's content, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable


def source_asset(recipe: str) -> Asset:
    """What `sync_<recipe>` emits an event for when the recipe's source has new content."""
    return Asset(name=f"{recipe}/source", uri=f"voxmill://{recipe}/source", group="voxmill")


def watches_source(schedule: Mapping[str, Any]) -> bool:
    """Whether a recipe asks for its source to be looked at."""
    return bool(schedule.get("watch_source"))


def airflow_schedule(
    recipe: str, schedule: Mapping[str, Any]
) -> str | list[Asset] | AssetOrTimeSchedule | None:
    """The argument `schedule` of the recipe's DAG; None where only people start it.

    Args:
        recipe: Name of the recipe.
        schedule: The recipe's section of that name in pipeline.json.
    """
    cron = schedule.get("cron")
    if not watches_source(schedule):
        return cron
    if cron is None:
        return [source_asset(recipe)]
    by_clock = CronTriggerTimetable(cron, timezone="UTC")
    return AssetOrTimeSchedule(timetable=by_clock, assets=[source_asset(recipe)])
