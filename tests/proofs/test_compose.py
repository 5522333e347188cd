"""PROOF: `digits` through Airflow, everything in containers: docker-compose.yml as it is shipped.

Airflow is in the office's image, which has no torch and no recipe's types; PostgreSQL is Debian's;
every stage, and the listing of the source, is a container that the socket proxy let through. The
images are built from the code as it is. `make proof AREA=docker`, with the modules beside this one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from toys.airflow_server import wait
from toys.compose_stack import (
    OWNER,
    SERVICES,
    WORKERS,
    ComposeStack,
    build_servers,
    compose_stack,
)
from toys.played_runs import READING_SECONDS
from toys.real_project import SMALL, fresh_clone, run
from toys.toy_project import hashes
from voxmill.orchestration.airflow_answers import DagRunState
from voxmill.runs.run import slug

STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
REASON = "An untrained model will do for this proof."


@pytest.fixture(scope="module")
def stack(images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """Airflow and the exporter for a fresh clone, in which training has the queue `gpu`."""
    project = fresh_clone(tmp_path_factory.mktemp("project") / "voxmill")
    file = project / "dvc.yaml"
    text = file.read_text()
    train = text.index("\n  train:")
    queued = text[train:].replace("queue: default", "queue: gpu", 1)
    file.write_text(text[:train] + queued)
    assert yaml.safe_load(file.read_text())["stages"]["train"]["meta"]["queue"] == "gpu"
    run("voxmill", "graph", cwd=project)
    run("git", "commit", "--quiet", "--all", "--message=Train on other machines", cwd=project)
    build_servers(images)
    with compose_stack(images, tmp_path_factory.mktemp("compose"), project) as stack:
        stack.up(*SERVICES)
        yield stack


@pytest.fixture(scope="module")
def released(stack) -> DagRunState:
    """The first run, approved."""
    return release(stack, SMALL)


def release(stack: ComposeStack, values: dict[str, object]) -> DagRunState:
    """A run from its trigger to its end; what an untrained model fails is waived."""
    started = stack.api().trigger("digits", values)
    while not (state := stack.api().dag_run("digits", started.id)).over:
        asked = stack.api().required_actions("digits", started.id)
        for question in (one for one in asked if not one.answered):
            time.sleep(READING_SECONDS)
            if question.task == "approve":
                stack.api().answer(question, ["Approve"])
            else:
                stack.api().answer(question, ["Waive"], {"reason": REASON})
        time.sleep(1)
    assert state.state == "success", f"{stack.tasks(started)}\n{stack.said()}"
    return started


def folder_of(stack: ComposeStack, started: DagRunState) -> Path:
    return stack.home / "runs" / "digits" / slug(started.id)


def reports(stack: ComposeStack, started: DagRunState) -> dict[str, dict]:
    artifacts = folder_of(stack, started) / "artifacts" / "digits"
    return {stage: json.loads((artifacts / stage / "report.json").read_text()) for stage in STAGES}


def test_every_stage_ran_in_a_container_of_its_own(engine, stack, released) -> None:
    """Another host name each, the image's commit in the report, the owner's files outside."""
    found = reports(stack, released)
    hosts = {report["machine"]["host"] for report in found.values()}
    assert len(hosts) == len(STAGES)
    assert all(re.fullmatch("[0-9a-f]{12}", host) for host in hosts)
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
    built = engine.docker("inspect", "--format", label, "voxmill-stage").stdout.strip()
    assert {report["versions"]["git_commit"] for report in found.values()} == {built}
    for path in (stack.home / "runs").rglob("*"):
        assert path.lstat().st_uid == OWNER, path
    assert engine.docker("ps", "--all", "--quiet", "--filter", "label=org.voxmill.run").stdout == ""


def test_the_release_comes_back_elsewhere(stack, released, tmp_path: Path) -> None:
    """Every file of every stage, by git and DVC alone."""
    elsewhere = tmp_path / "elsewhere"
    copy = tmp_path / "copy"  # git clones nothing of another user
    run("cp", "--recursive", str(stack.project / ".git"), str(copy), cwd=tmp_path)
    run("git", "clone", "--quiet", str(copy), str(elsewhere), cwd=tmp_path)
    run("git", "checkout", "--quiet", "digits@v0.1.0", cwd=elsewhere)
    run("dvc", "pull", cwd=elsewhere)
    made = folder_of(stack, released) / "artifacts" / "digits"
    assert hashes(elsewhere / "artifacts" / "digits") == hashes(made)


def test_the_office_lists_a_source_though_it_has_no_workshop(stack, released) -> None:
    """`voxmill sync` asks the stage's image; without containers it says what is missing."""
    lacks = stack.inside("airflow-scheduler", "python3", "-c", "import torch")
    assert "No module named 'torch'" in lacks.stderr
    listed = stack.inside("airflow-scheduler", "voxmill", "sync", "digits")
    assert listed.returncode == 0, listed.stderr
    assert "digits: " in listed.stdout
    alone = stack.inside(
        "airflow-scheduler", "env", "VOXMILL_LAUNCHER=process", "voxmill", "sync", "digits"
    )
    assert alone.returncode == 69
    assert "VOXMILL_LAUNCHER=docker" in alone.stderr


def test_a_wrong_recipe_is_refused_in_the_workshop_s_words(stack, released) -> None:
    """Every mistake at once, though another container has found them."""
    done = stack.inside(
        *("airflow-scheduler", "voxmill", "run", "digits"),
        *("--set", "train.epohs=3", "--set", "model.mel_bins=-1"),
    )
    assert done.returncode == 64
    assert "train.epohs" in done.stderr
    assert "model.mel_bins" in done.stderr
    assert "/voxmill/" not in done.stderr


def test_the_exporter_sees_the_run_and_airflow(stack, released) -> None:
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9345/metrics').read().decode())"
    served = stack.inside("exporter", "python3", "-c", page).stdout
    assert re.search(r'voxmill_recipe_runs\{[^}]*recipe="digits"', served)
    assert "airflow_" in served


def test_a_killed_container_is_gone_on_with_and_a_stopped_one_saves(
    engine, stack, released
) -> None:
    """The next try resumes. Marked failed in the UI, it gets SIGTERM and its grace all the same.

    Airflow gives the task's own process five seconds.
    """
    values = {**SMALL, "train.epochs": 500, "train.seed": 7, "train.checkpoint_every_steps": 2}
    started = stack.api().trigger("digits", values)
    name = f"voxmill-digits-{slug(started.id)}-train"
    work = folder_of(stack, started) / "work" / "digits"

    def says(words: str) -> bool | None:
        return True if words in engine.docker("logs", name, check=False).stderr else None

    wait(lambda: list((work / "checkpoints").glob("step*")) or None, 400, "a checkpoint", pause=0.5)
    engine.docker("kill", name)
    wait(lambda: says("Going on from step"), 200, "the next try to go on", pause=0.5)
    path = f"/api/v2/dags/digits/dagRuns/{started.id}"
    stack.api()._asked("PATCH", f"{path}/taskInstances/train", json={"new_state": "failed"})
    there = ("ps", "--all", "--quiet", "--filter", f"name={name}")
    wait(lambda: None if engine.docker(*there).stdout else True, 200, "the container to leave")
    results = sorted((work / "jobs").glob("train.result*.json"))
    assert json.loads(results[-1].read_text()) | {"seconds": 0} == {
        "attempt": 2,
        "exit_code": 75,
        "cause": "exited",
        "seconds": 0,
        "max_rss_bytes": 0,
        "oom_kills": 0,
    }
    stack.api()._asked("PATCH", path, json={"state": "failed"})


def test_celery_s_workers_take_what_their_queues_hold(stack, released) -> None:
    """With the profile `celery` the same run is restored task by task, training elsewhere."""
    settings = {"COMPOSE_PROFILES": "celery", "VOXMILL_EXECUTOR": "CeleryExecutor"}
    stack.up(*SERVICES, *WORKERS, **settings)
    again = release(stack, SMALL)
    tasks = stack.tasks(again)
    assert {name: tasks[name]["queue"] for name in ("open", "prepare", "train")} == {
        "open": "default",
        "prepare": "cpu",
        "train": "gpu",
    }
    hosts = {name: task["hostname"] for name, task in tasks.items() if task["hostname"]}
    assert hosts["open"] == hosts["prepare"] != hosts["train"]
