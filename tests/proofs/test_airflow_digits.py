"""Proof of the recipe `digits` through Airflow: by its API, then by hand in a browser.

The real recipe, cut small by values of its form; several minutes.
`make proof AREA=airflow`, with the modules beside this one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from toys.airflow_page import AirflowPage
from toys.airflow_server import RunningServer, running_server, wait
from toys.browser import Album, log_in, running_browser
from toys.played_runs import READING_SECONDS
from toys.real_project import SMALL, fresh_clone, run
from toys.toy_project import hashes
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction
from voxmill.runs.run import slug

STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
PATIENCE_SECONDS = 600
REASON = "An untrained model will do for this proof."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Airflow for a fresh clone of this project, without a run."""
    project = fresh_clone(tmp_path_factory.mktemp("digits") / "voxmill")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with running_server(
        project, tmp_path_factory.mktemp("home"), environ={"PATH": path}
    ) as running:
        yield running


def test_values_of_the_form_become_a_release_that_comes_back_elsewhere(
    server: RunningServer, tmp_path: Path
) -> None:
    """API: trigger with values, approve, tag; a fresh clone pulls every file of every stage."""
    api = server.api()
    started = api.trigger("digits", SMALL)
    question = approval(server, started)
    assert "v0.1.0" in question.subject
    assert "onnx-fp32" in question.body
    api.answer(question, ["Approve"])
    assert server.wait_for_run(started, timeout_seconds=PATIENCE_SECONDS).state == "success"
    elsewhere = tmp_path / "elsewhere"
    run("git", "clone", "--quiet", str(server.project), str(elsewhere), cwd=tmp_path)
    run("git", "checkout", "--quiet", "digits@v0.1.0", cwd=elsewhere)
    run("dvc", "pull", cwd=elsewhere)
    made = server.voxmill_home / "runs" / "digits" / slug(started.id) / "artifacts" / "digits"
    expected = hashes(made)
    assert hashes(elsewhere / "artifacts" / "digits") == expected
    assert {path.split("/")[0] for path in expected} == set(STAGES)
    inventory = (elsewhere / "artifacts/digits/ingest/inventory.jsonl").read_text()
    assert len(inventory.splitlines()) == SMALL["source.utterances"]


def test_somebody_retrains_and_releases_with_nothing_but_a_browser(
    server: RunningServer, tmp_path: Path
) -> None:
    """Log in, read, fill the form, be corrected, watch, waive, read the report, approve."""
    with running_browser(tmp_path / "screenshots") as album:
        airflow = AirflowPage(album.page, server.url)
        log_in(album.page, f"{server.url}/dags/digits", "admin", server.passwords["admin"])
        airflow.wait_until_drawn("Release")
        album.shoot("dag")
        assert "Measure the packaged artefacts on the test sets" in airflow.read_docs()
        album.shoot("docs")
        album.page.keyboard.press("Escape")
        airflow.settle()
        run_id = fill_form(airflow, album)
        started = server.api().dag_run("digits", run_id)
        assert started.conf["train.seed"] == 2
        airflow.open_run("digits", run_id)
        album.shoot("grid")
        waive_gates(server, airflow, album, started)
        question = approval(server, started)
        airflow.open_run("digits", run_id)
        airflow.open_graph()
        album.shoot("graph")
        airflow.open_grid()
        approve(airflow, album, question)
        ended = server.wait_for_run(started, timeout_seconds=PATIENCE_SECONDS)
        assert ended.state == "success"
        airflow.open_run("digits", run_id)
        airflow.wait_until_drawn("Success")
        album.shoot("success")
        airflow.open_details("digits", run_id, "evaluate")
        album.shoot("links")
        album.page.get_by_role("link", name="Report").click()
        album.page.wait_for_url("**/evaluate/")
        assert "onnx-fp32" in album.page.locator("body").inner_text()
        album.shoot("report")
    assert "digits@v0.1.1" in run("git", "tag", cwd=server.project).split()


def approval(server: RunningServer, started: DagRunState) -> RequiredAction:
    """The run's question about its release; a gate that an untrained model closes is waived."""

    def asked() -> RequiredAction | None:
        question = server.wait_for_action(started, timeout_seconds=PATIENCE_SECONDS)
        time.sleep(READING_SECONDS)
        if question.task == "approve":
            return question
        server.api().answer(question, ["Waive"], {"reason": REASON})
        return None

    return wait(asked, PATIENCE_SECONDS, "the question about the release")


def fill_form(airflow: AirflowPage, album: Album) -> str:
    """Triggers a run with other values, after mistakes; gives Airflow's id of it."""
    airflow.open_form()
    album.shoot("form-sections")
    assert airflow.sections()[:6] == ["source", "base", "audit", "prepare", "model", "train"]
    airflow.unfold("train")
    album.shoot("form")
    assert "Passes over the training set." in airflow.form.inner_text()
    airflow.fill({"train.epochs": 0})
    assert airflow.field("train.epochs").input_value() == "1"  # limits hold while one types
    airflow.fill({"resources.image": "My Image"})
    airflow.press_trigger()
    assert "'My Image' does not match" in airflow.refusal()
    album.shoot("form-refuses")
    airflow.fill({**SMALL, "train.seed": 2, "resources.image": ""})
    airflow.unfold("train")
    album.shoot("form-filled")
    return airflow.submit()


def waive_gates(
    server: RunningServer, airflow: AirflowPage, album: Album, started: DagRunState
) -> None:
    """Answers by hand what is asked before the release, with a reason and not without."""
    while True:
        question = server.wait_for_action(started, timeout_seconds=PATIENCE_SECONDS)
        if question.task == "approve":
            return
        airflow.open_question(question)
        album.shoot(f"gate-of-{question.task}")
        assert airflow.option("Waive").is_disabled()
        airflow.give_reason(REASON)
        album.shoot(f"waiver-of-{question.task}")
        airflow.option("Waive").click()
        wait(partial(answered, server, question), 60, "the waiver to be taken")


def approve(airflow: AirflowPage, album: Album, question: RequiredAction) -> None:
    """Reads figures and report, and approves."""
    airflow.open_question(question)
    album.shoot("approval", whole=True)
    body = album.page.locator("body").inner_text()
    assert "v0.1.1" in body
    assert "v0.1.0" in body  # the champion, beside it
    assert "train.seed = 2" in body
    airflow.option("Approve").click()
    airflow.settle()
    album.shoot("approved")


def answered(server: RunningServer, question: RequiredAction) -> bool | None:
    """Whether Airflow has the answer."""
    asked = server.api().required_actions(question.dag, question.run)
    return True if any(one.answered and one.task == question.task for one in asked) else None
