"""Queues: which kind of machine a stage waits for, where Airflow has workers on several.

`gpu` for what needs GPUs and `cpu` for the rest, unless `meta` names another queue, such as one
that a machine with much memory serves. Tasks that only decide and publish are in Airflow's own
queue, `default`. Executors without workers of their own ignore queues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CPU_QUEUE = "cpu"
GPU_QUEUE = "gpu"
UNDECIDED = "default"
"""In `meta`: as the GPUs say, which a recipe may change."""


def queue_of(needs: Mapping[str, Any]) -> str:
    """The queue of a stage's task.

    Args:
        needs: `meta` with the recipe's `resources` over it.
    """
    named = str(needs.get("queue") or UNDECIDED)
    if named != UNDECIDED:
        return named
    return GPU_QUEUE if int(needs.get("gpus") or 0) > 0 else CPU_QUEUE
