"""Runs DAGs of a project with real Airflow, one after the other, and prints what became of them.

Usage: python play_dags.py PROJECT HOME ID=JSON_CONF …
The last line of the output is a JSON object by DAG id.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from voxmill.errors import VoxmillError
from voxmill.orchestration import airflow_home, rehearsal


def main(project: Path, home: Path, wanted: list[str]) -> None:
    airflow_home.enter(home, project=project, environ=os.environ)
    migrated = airflow_home.migrate(home)
    ends: dict = {"migrated": migrated}
    for item in wanted:
        dag_id, _, conf = item.partition("=")
        started = time.perf_counter()
        dag = rehearsal.load_dag(project / "dags", dag_id)
        ends[dag_id] = {"parse_seconds": time.perf_counter() - started}
        ends[dag_id] |= rehearsed(dag, json.loads(conf or "{}")) | {"asked": asked(dag)}
    sys.stdout.write("\n" + json.dumps(ends) + "\n")


def rehearsed(dag, conf) -> dict:
    try:
        end = rehearsal.rehearse(dag, conf)
    except VoxmillError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    failed = asdict(end.failed_task) if end.failed_task else None
    return asdict(end) | {"succeeded": end.succeeded, "failed_task": failed}


def asked(dag) -> dict:
    """What the toy's worker was asked; empty for a real worker."""
    worker = dag.task_dict["open"].make_worker()
    if not hasattr(worker, "orders"):
        return {}
    return {
        "calls": worker.calls,
        "stopped": worker.stopped,
        "overrides": [dict(order.overrides) for order in worker.orders],
        "allow_dirty": [order.allow_dirty for order in worker.orders],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
