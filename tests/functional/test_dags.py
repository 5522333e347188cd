"""The project's own DAG file, read as Airflow's processor reads it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = json.loads((ROOT / "pipeline.json").read_text())["recipes"]

READ = """
import json, os, sys, time
from pathlib import Path
from voxmill.orchestration import airflow_home
airflow_home.enter(Path(sys.argv[2]), project=Path(sys.argv[1]), environ=os.environ)
from airflow.dag_processing.dagbag import BundleDagBag  # puts dags/ on the import path
started = time.perf_counter()
folder = Path(sys.argv[1]) / "dags"
bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
seconds = time.perf_counter() - started
print(json.dumps({
    "errors": bag.import_errors,
    "seconds": seconds,
    "heavy": sorted({"torch", "transformers", "numpy", "dvc", "git", "gto"} & set(sys.modules)),
    "dags": {
        dag_id: {
            "edges": sorted([up, t.task_id] for t in dag.tasks for up in t.upstream_task_ids),
            "docs": {t.task_id: t.doc_md for t in dag.tasks},
            "params": {key: dag.params.get_param(key).value for key in dag.params},
            "file": dag.fileloc,
        }
        for dag_id, dag in bag.dags.items()
    },
}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What Airflow finds in `dags/`."""
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [sys.executable, "-c", READ, ROOT, tmp_path_factory.mktemp("airflow")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_dag_file_is_read_without_errors(read):
    """Rule: one DAG for each recipe of pipeline.json, found in dags/."""
    assert read["errors"] == {}
    assert set(read["dags"]) == set(SNAPSHOT)
    for dag in read["dags"].values():
        assert dag["file"] == str(ROOT / "dags" / "voxmill.py")


def test_reading_dags_brings_in_neither_dvc_nor_torch(read):
    """Rule: Airflow reads DAG files all the time; what a task needs is imported in the task."""
    print(f"reading dags/ took {read['seconds']:.3f} s")  # noqa: T201
    assert read["heavy"] == []
    assert read["seconds"] < 5  # 0.1 s on an idle machine; Airflow itself gives up after 30


@pytest.mark.parametrize("recipe", sorted(SNAPSHOT))
def test_edges_are_those_of_pipeline_json(read, recipe):
    """Rule: what depends on what is said in dvc.yaml and nowhere else."""
    stages = SNAPSHOT[recipe]["stages"]
    inner = {(up, name) for name, stage in stages.items() for up in stage["upstream"]}
    found = {tuple(edge) for edge in read["dags"][recipe]["edges"]}
    ending = {("decide", "approve"), ("decide", "release"), ("approve", "release")}
    assert ending <= found
    assert {edge for edge in found if not set(edge) & {"open", "decide", "release"}} == inner
    first = {name for name, stage in stages.items() if not stage["upstream"]}
    last = set(stages) - {up for up, _ in inner}
    assert {edge for edge in found if "open" in edge} == {("open", name) for name in first}
    assert {edge for edge in found if edge[1] == "decide"} == {(name, "decide") for name in last}


@pytest.mark.parametrize("recipe", sorted(SNAPSHOT))
def test_the_form_holds_the_recipe_s_own_values(read, recipe):
    """Rule: whoever starts a run sees what the recipe says."""
    params = read["dags"][recipe]["params"]
    fields = {entry["key"]: entry["schema"]["default"] for entry in SNAPSHOT[recipe]["form"]}
    assert params.pop("run.allow_dirty") is False
    assert params == {key: fields[key] for key in fields if not key.startswith("schedule.")}


@pytest.mark.parametrize("recipe", sorted(SNAPSHOT))
def test_each_task_says_what_it_does(read, recipe):
    """Rule: a task's documentation begins with the stage's `desc` in dvc.yaml."""
    docs = read["dags"][recipe]["docs"]
    for name, stage in SNAPSHOT[recipe]["stages"].items():
        assert docs[name].startswith(stage["desc"])
    assert all(docs[name] for name in ("open", "decide", "approve", "release"))
