"""Runs DAGs with real Airflow and leaves their callbacks as they are; prints what became of them.

Usage: python play_alerts.py PROJECT HOME ID …
The last line of the output is JSON: a list with the states of each DAG run's tasks, and every Asset
event that there was, as pairs of an Asset's name and what came with it.
"""

import json
import os
import sys
from pathlib import Path

from voxmill.orchestration import airflow_home, rehearsal


def main(project: Path, home: Path, wanted: list[str]) -> None:
    airflow_home.enter(home, project=project, environ=os.environ)
    airflow_home.migrate(home)
    runs = []
    for dag_id in wanted:
        dag = rehearsal.load_dag(project / "dags", dag_id)
        for task in dag.tasks:
            task.retries = 0
        run = dag.test()
        states = {one.task_id: str(one.state) for one in run.get_task_instances()}
        runs.append({"dag": dag_id, "run": run.run_id, "state": str(run.state), "tasks": states})
    sys.stdout.write("\n" + json.dumps({"runs": runs, "events": events()}) + "\n")


def events() -> list:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id))
        return [(event.asset.name, event.extra) for event in found]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
