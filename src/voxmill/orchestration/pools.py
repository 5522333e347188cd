"""Airflow pools: how many tasks may use what is scarce at once.

A task that needs GPUs takes as many slots of the pool `gpu`; the pool has one for each GPU, so that
one GPU runs one training. All other tasks are in Airflow's default pool. Whoever starts a server
makes the pool; a DAG run in one process (`voxmill demo`) runs one task after the other and asks no
pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GPU_POOL = "gpu"


def pool_settings(gpus: int) -> Mapping[str, Any]:
    """Arguments of a task that needs so many GPUs; none for the default pool."""
    return {"pool": GPU_POOL, "pool_slots": gpus} if gpus > 0 else {}
