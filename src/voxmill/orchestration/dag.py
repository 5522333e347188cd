"""One Airflow DAG for each recipe of pipeline.json.

Open, the stages as DVC has them, decide, approve, release. A stage behind which a gate is closed
is the required action itself, see docs/decisions/0007-a-failed-gate-is-a-question.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, TriggerRule

from voxmill.orchestration.approval import (
    APPROVE,
    RELEASE,
    ApproveRelease,
    DecideRelease,
    ReleaseRun,
)
from voxmill.orchestration.callbacks import tell_released
from voxmill.orchestration.dag_docs import (
    APPROVE_DOC,
    DECIDE_DOC,
    OPEN_DOC,
    RELEASE_DOC,
    dag_doc,
    stage_doc,
)
from voxmill.orchestration.dag_settings import (
    dag_settings,
    listing_settings,
    other_settings,
    stage_settings,
    task_defaults,
)
from voxmill.orchestration.form import defaults, params
from voxmill.orchestration.links import ORIGIN_VARIABLE, branch_page
from voxmill.orchestration.operator import OpenRun, RunStage, RunTask
from voxmill.orchestration.pod_settings import PodSettings, on_kubernetes, read_pod_settings
from voxmill.orchestration.sync import sync_dags
from voxmill.orchestration.worker import Worker

OWNER = "voxmill"
OPEN = "open"
DECIDE = "decide"
RETRIES = 2  # for what may pass by itself: a lock, a network, an out-of-memory kill
RETRY_DELAY = timedelta(seconds=30)

MakeWorker = Callable[[Path], Worker]


def build_dags(
    snapshot: Mapping[str, Any],
    project_root: Path,
    *,
    worker: MakeWorker | None = None,
    pods: PodSettings | None = None,
) -> dict[str, DAG]:
    """The DAGs by id: one with the recipe's name, and `sync_<recipe>` where it watches its source.

    DVC, git and the recipes are met inside the tasks only; on Kubernetes `kubernetes.yaml` is read.

    Args:
        snapshot: What pipeline.json says.
        project_root: The checkout that runs are cloned from.
        worker: Makes whoever carries out the tasks; by default one that runs them from here.
        pods: What the cluster has, where tasks are pods; by default as Airflow's executor and
            the project's `kubernetes.yaml` say.
    """
    make_worker = cache(partial(worker or _local_worker, project_root))
    if pods is None and on_kubernetes():
        pods = read_pod_settings(project_root)
    recipes = sorted(snapshot["recipes"].items())
    trainings = {recipe: _dag(recipe, entry, make_worker, pods) for recipe, entry in recipes}
    return {**trainings, **sync_dags(snapshot, make_worker, pods)}


def _local_worker(project_root: Path) -> Worker:
    from voxmill.orchestration.local_worker import LocalWorker  # brings DVC in

    return LocalWorker(project_root)


def _dag(
    recipe: str,
    entry: Mapping[str, Any],
    make_worker: Callable[[], Worker],
    pods: PodSettings | None,
) -> DAG:
    dag = DAG(
        dag_id=recipe,
        dag_display_name=recipe,
        description=entry["title"],
        doc_md=dag_doc(recipe, entry),
        tags=["voxmill", entry["family"]],
        catchup=False,
        params=params(entry["form"]),
        owner_links=_owner_links(),
        **dag_settings(recipe, entry),
    )
    # Tasks join the DAG below and not by `dag=…`: with that, Airflow copies the whole form several
    # times for each task, which is nearly all the time that it takes to read a DAG.
    common = {
        "default_args": {
            "owner": OWNER,
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            **task_defaults(),
        },
        "recipe": recipe,
        "worker": make_worker,
        "form_defaults": defaults(entry["form"]),
        "release": entry["release"],
    }
    opening = OpenRun(
        task_id=OPEN,
        task_display_name="Open the run",
        doc_md=OPEN_DOC,
        **listing_settings(entry, pods),
        **common,
    )
    stages = {name: _stage_task(name, entry, common, pods) for name in entry["stages"]}
    dag.add_tasks([opening, *stages.values()])
    ending = _ending(dag, {**other_settings(pods), **common})
    _connect(opening, stages, ending, entry["stages"])
    return dag


def _owner_links() -> dict[str, str]:
    """Where the recipes are kept, if the git origin is a forge that shows them."""
    page = branch_page(os.environ.get(ORIGIN_VARIABLE, ""), "main")
    return {OWNER: page} if page else {}


def _stage_task(
    name: str,
    entry: Mapping[str, Any],
    common: Mapping[str, Any],
    pods: PodSettings | None,
) -> RunStage:
    stage, resources = entry["stages"][name], entry["resources"]
    return RunStage(
        task_id=name,
        task_display_name=name.capitalize(),
        stage=name,
        doc_md=stage_doc(name, entry),
        stage_meta=stage["meta"],
        recipe_resources=resources,
        **stage_settings(stage["meta"], resources, pods),
        **common,
    )


def _ending(dag: DAG, common: Mapping[str, Any]) -> RunTask:
    """Decide, approve and release, connected; gives the first of them.

    Release goes on behind a skipped approval (nobody is asked) but not behind a failed one.
    """
    decide = DecideRelease(
        task_id=DECIDE, task_display_name="Ask a person?", doc_md=DECIDE_DOC, **common
    )
    approve = ApproveRelease(
        task_id=APPROVE, task_display_name="Approve the release", doc_md=APPROVE_DOC, **common
    )
    release = ReleaseRun(
        task_id=RELEASE,
        task_display_name="Release",
        doc_md=RELEASE_DOC,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        on_success_callback=[tell_released],
        **common,
    )
    dag.add_tasks([decide, approve, release])
    approve.set_upstream(decide)
    release.set_upstream([decide, approve])
    return decide


def _connect(
    opening: RunTask,
    stages: Mapping[str, RunTask],
    ending: RunTask,
    graph: Mapping[str, Mapping[str, Any]],
) -> None:
    """Edges as DVC has them; whoever has none before or behind hangs on the opening or ending."""
    followed = {before for stage in graph.values() for before in stage["upstream"]}
    for name, task in stages.items():
        upstream = [stages[before] for before in graph[name]["upstream"]]
        task.set_upstream(upstream or [opening])
        if name not in followed:
            ending.set_upstream(task)
