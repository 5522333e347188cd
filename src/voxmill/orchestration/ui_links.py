"""Addresses of Airflow's pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote


def run_url(instance: Any) -> str:
    """Page of the DAG run that a task instance belongs to."""
    return f"{_base()}/dags/{instance.dag_id}/runs/{quote(instance.run_id, safe='')}"


def task_url(instance: Any) -> str:
    """Page of a task instance, with its log."""
    return f"{run_url(instance)}/tasks/{instance.task_id}"


def required_actions_url(instance: Any) -> str:
    """Page where a task's question is answered."""
    return f"{task_url(instance)}/required_actions"


def dag_run_url(dag_id: str, run_id: str) -> str:
    """Page of a DAG run, by its ids."""
    return f"{_base()}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def _base() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")
