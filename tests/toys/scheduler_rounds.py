"""Lets a real Airflow scheduler make some rounds over DAGs that need no worker.

Usage: python scheduler_rounds.py PROJECT HOME ROUNDS. `PROJECT/dags` holds the DAG files. At the
end each DAG of the name `rehearsed` is run in this process, task by task.
"""

import os
import sys
from pathlib import Path

from voxmill.orchestration import airflow_home, rehearsal


def main(project: Path, home: Path, rounds: int) -> None:
    airflow_home.enter(home, project=project, environ=os.environ)
    airflow_home.migrate(home)
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.jobs.job import Job, run_job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    DagBundlesManager().sync_bundles_to_db()
    name, folder = "dags-folder", project / "dags"
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name=name)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, name, None)
    job = Job()
    runner = SchedulerJobRunner(job=job, num_runs=rounds)
    run_job(job=job, execute_callable=runner._execute)
    rehearsal.rehearse(bag.dags["rehearsed"], {})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
