"""When the DAG of a recipe starts by itself, and how many of its runs at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dag_settings(recipe: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the recipe's DAG that come from its section `schedule`.

    Args:
        recipe: Name of the recipe; also the DAG's id.
        entry: The recipe in pipeline.json.
    """
    schedule = entry["schedule"]
    return {
        "schedule": schedule.get("cron"),
        "max_active_runs": schedule.get("max_active_runs", 1),
    }
