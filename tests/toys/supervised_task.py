"""One try of one task under Airflow's own supervisor, against an API server that is played here.

`python supervised_task.py PROJECT HOME DAG RUN TASK TRY CONTROL`: as a worker of Airflow does, it
forks the task's process and watches it. As soon as the file CONTROL/`unwanted` is there, the API
server answers a heartbeat with "should not be running": then Airflow ends the task, SIGTERM first
and SIGKILL five seconds later. The process id of the task stands in CONTROL/`task.pid`. The last
line printed is JSON: every state that was reported to the server.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

import httpx

from voxmill.orchestration import airflow_home

PROJECT, HOME, DAG, RUN, TASK, TRY, CONTROL = sys.argv[1:]
MOMENT = "2026-11-21T03:00:00Z"
REPORTED: list[dict] = []


def answer(request: httpx.Request) -> httpx.Response:
    """What an API server answers."""
    body = json.loads(request.content or b"{}")
    path = request.url.path
    if path.endswith("/run"):
        (Path(CONTROL) / "task.pid").write_text(str(body["pid"]))
        return httpx.Response(200, json=CONTEXT)
    if path.endswith("/heartbeat") and (Path(CONTROL) / "unwanted").exists():
        detail = {
            "reason": "not_running",
            "message": "Ended by a person.",
            "current_state": "failed",
        }
        return httpx.Response(409, json={"detail": detail})
    if path.endswith("/state"):
        REPORTED.append(body)
    return httpx.Response(200, json={})


CONTEXT = {
    "dag_run": {
        "dag_id": DAG,
        "run_id": RUN,
        "logical_date": MOMENT,
        "start_date": MOMENT,
        "run_after": MOMENT,
        "run_type": "manual",
        "conf": {},
        "state": "running",
        **dict.fromkeys(("data_interval_start", "data_interval_end", "end_date", "partition_key")),
        "consumed_asset_events": [],
    },
    "max_tries": 2,
    "should_retry": True,
}


def main() -> None:
    airflow_home.enter(Path(HOME), project=Path(PROJECT), environ=os.environ)
    os.environ["AIRFLOW__LOGGING__NAMESPACE_LEVELS"] = ""  # what the job says is wanted here
    os.environ["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] = "1"
    from airflow.executors.workloads.base import BundleInfo
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.sdk.api.client import Client
    from airflow.sdk.execution_time.supervisor import supervise_task

    task = TaskInstanceDTO(
        id=uuid.uuid4(),
        dag_version_id=uuid.uuid4(),
        dag_id=DAG,
        run_id=RUN,
        task_id=TASK,
        try_number=int(TRY),
        map_index=-1,
        queue="default",
        pool_slots=1,
        priority_weight=1,
    )
    client = Client(base_url="http://played", token="", transport=httpx.MockTransport(answer))
    supervise_task(
        ti=task,
        bundle_info=BundleInfo(name="dags-folder"),
        dag_rel_path="played.py",
        token="",
        client=client,
        log_path=f"{DAG}/{TASK}.{TRY}.log",
    )
    sys.stdout.write("\n" + json.dumps(REPORTED) + "\n")


if __name__ == "__main__":
    main()
