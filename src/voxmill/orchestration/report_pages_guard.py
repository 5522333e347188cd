"""Who may read voxmill's pages: those whom Airflow knows and lets read the recipe's DAG.

Imported by the API server alone: it brings Airflow's core in.
"""

from __future__ import annotations

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException


def may_read_something(user: GetUserDep) -> None:
    """Lets whoever is logged in pass.

    Raises:
        HTTPException: 401 nobody is logged in.
    """


def may_read_recipe(recipe: str, user: GetUserDep) -> None:
    """Lets those pass who may read the logs of the recipe's DAG, which hold as much.

    Raises:
        HTTPException: 401 nobody is logged in; 403 this user may not.
    """
    allowed = get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.TASK_LOGS,
        details=DagDetails(id=recipe),
        user=user,
    )
    if not allowed:
        raise HTTPException(403, f"Your role may not read the runs of {recipe}.")
