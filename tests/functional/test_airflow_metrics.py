"""Airflow's own metrics, from a real scheduler and real tasks to the exporter's answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from toys.scraped_exporter import exporting, of
from toys.toy_project import make_project
from voxmill.exporting.airflow_bridge import airflow_settings

ROUNDS = Path(__file__).resolve().parents[1] / "toys" / "scheduler_rounds.py"
DAGS = """
from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

ONCE = {"schedule": "@once", "is_paused_upon_creation": False}

with DAG("empty", **ONCE):
    EmptyOperator(task_id="nothing")

with DAG("digits", dagrun_timeout=timedelta(milliseconds=1), **ONCE):
    EmptyOperator(task_id="nothing", pool="none_such")

with DAG("rehearsed", schedule=None):

    @task
    def good():
        return 1

    @task
    def bad():
        raise ValueError("as told")

    good() >> bad()
"""


def test_a_real_airflow_is_heard_over_statsd(tmp_path: Path) -> None:
    """A real scheduler and real tasks, with the settings that the bridge gives."""
    toy = make_project(tmp_path)
    (toy.root / "dags").mkdir()
    (toy.root / "dags" / "three.py").write_text(DAGS)
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    with exporting(toy) as exporter:
        failed = of("airflow_dagrun_failed_total", dag_id="digits")
        assert exporter.scrape()[failed] == 0.0
        done = subprocess.run(
            [sys.executable, ROUNDS, toy.root, tmp_path / "airflow", "8"],
            env=environ | airflow_settings(exporter.statsd_port),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        series = exporter.scrape()
    good = {"dag_id": "rehearsed", "task_id": "good"}
    assert series[of("airflow_ti_finish_total", **good, state="success")] == 1.0
    bad = {"dag_id": "rehearsed", "task_id": "bad", "state": "failed"}
    assert series[of("airflow_ti_finish_total", **bad)] == 1.0
    assert series[of("airflow_task_duration_seconds_count", **good)] == 1.0
    assert series[of("airflow_dagrun_duration_seconds_count", dag_id="empty", state="success")] == 1
    assert series[failed] == 1.0
    assert series[of("airflow_scheduler_heartbeat_total")] >= 1.0
    assert series[of("airflow_pool_open_slots", pool="default_pool")] == 128.0
    heard = series[of("voxmill_exporter_statsd_last_line_timestamp_seconds")]
    assert abs(time.time() - heard) < 60
