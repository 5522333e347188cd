"""One Airflow DAG for each recipe of pipeline.json: open, the stages as DVC has them, release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from voxmill.orchestration.callbacks import tell_released
from voxmill.orchestration.dag_settings import dag_settings, stage_settings, task_defaults
from voxmill.orchestration.form import defaults, params
from voxmill.orchestration.operator import OpenRun, ReleaseRun, RunStage, RunTask
from voxmill.orchestration.sync import sync_dags
from voxmill.orchestration.worker import Worker

OPEN = "open"
RELEASE = "release"
RETRIES = 2  # for what may pass by itself: a lock, a network, an out-of-memory kill
RETRY_DELAY = timedelta(seconds=30)

MakeWorker = Callable[[Path], Worker]


def build_dags(
    snapshot: Mapping[str, Any], project_root: Path, *, worker: MakeWorker | None = None
) -> dict[str, DAG]:
    """The DAGs by id: one with the recipe's name, and `sync_<recipe>` where it watches its source.

    Reads nothing: DVC, git and the recipes are met inside the tasks only.

    Args:
        snapshot: What pipeline.json says.
        project_root: The checkout that runs are cloned from.
        worker: Makes whoever carries out the tasks; by default one that runs them from here.
    """
    make_worker = cache(partial(worker or _local_worker, project_root))
    recipes = sorted(snapshot["recipes"].items())
    trainings = {recipe: _dag(recipe, entry, make_worker) for recipe, entry in recipes}
    return {**trainings, **sync_dags(snapshot, make_worker)}


def _local_worker(project_root: Path) -> Worker:
    from voxmill.orchestration.local_worker import LocalWorker  # brings DVC in

    return LocalWorker(project_root)


def _dag(recipe: str, entry: Mapping[str, Any], make_worker: Callable[[], Worker]) -> DAG:
    dag = DAG(
        dag_id=recipe,
        dag_display_name=recipe,
        description=entry["title"],
        doc_md=_doc(recipe, entry),
        tags=["voxmill", entry["family"]],
        catchup=False,
        params=params(entry["form"]),
        default_args={"retries": RETRIES, "retry_delay": RETRY_DELAY, **task_defaults()},
        **dag_settings(recipe, entry),
    )
    common = {
        "dag": dag,
        "recipe": recipe,
        "worker": make_worker,
        "form_defaults": defaults(entry["form"]),
    }
    opening = OpenRun(task_id=OPEN, doc_md="Opens the run: a clone with its own branch.", **common)
    stages = {
        name: _stage_task(name, stage, entry["resources"], common)
        for name, stage in entry["stages"].items()
    }
    release = ReleaseRun(
        task_id=RELEASE,
        doc_md="Tags the run's commit and makes it champion.",
        on_success_callback=[tell_released],
        **common,
    )
    _connect(opening, stages, release, entry["stages"])
    return dag


def _stage_task(
    name: str, stage: Mapping[str, Any], resources: Mapping[str, Any], common: Mapping[str, Any]
) -> RunStage:
    return RunStage(
        task_id=name,
        stage=name,
        doc_md=stage["desc"],
        stage_meta=stage["meta"],
        recipe_resources=resources,
        **stage_settings(stage["meta"], resources),
        **common,
    )


def _connect(
    opening: RunTask,
    stages: Mapping[str, RunTask],
    release: RunTask,
    graph: Mapping[str, Mapping[str, Any]],
) -> None:
    """Edges as DVC has them; whoever has none before or behind hangs on open and release."""
    followed = {before for stage in graph.values() for before in stage["upstream"]}
    for name, task in stages.items():
        upstream = [stages[before] for before in graph[name]["upstream"]]
        task.set_upstream(upstream or [opening])
        if name not in followed:
            release.set_upstream(task)


def _doc(recipe: str, entry: Mapping[str, Any]) -> str:
    lines = [f"# {entry['title']}", "", entry["description"], ""]
    lines += ["| stage | what it does |", "|---|---|"]
    lines += [f"| {name} | {stage['desc']} |" for name, stage in entry["stages"].items()]
    explained = (
        f"The form changes fields of `recipes/{recipe}.yaml` for one run only. A stage whose "
        "inputs have not changed is restored and not run again."
    )
    return "\n".join([*lines, "", explained])
