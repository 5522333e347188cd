"""Proof of Airflow on PostgreSQL: one variable, and the same work as on SQLite.

A real PostgreSQL, a real server, toy stages with real git, DVC and processes.
`make proof AREA=airflow`, with the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toys.airflow_server import running_server
from toys.played_runs import PlayedRuns, run_id
from toys.postgres import running_postgres
from toys.real_project import run
from toys.scenarios import scenarios
from toys.toy_project import STAGES, hashes

RECIPES = ("released", "refused", "broken")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedRuns]:
    """A server on PostgreSQL with all runs begun."""
    toys = scenarios(tmp_path_factory.mktemp("airflow"), RECIPES)
    toys.order("broken", "ingest.exit", 65)
    toys.order("released", "train.failed")
    with running_postgres(tmp_path_factory.mktemp("pg") / "server") as postgres:
        url = postgres.url("airflow")
        home = tmp_path_factory.mktemp("home")
        environ = {"VOXMILL_AIRFLOW_DB": url}
        with running_server(toys.root, home, environ=environ) as server:
            found = PlayedRuns(server, toys)
            api = server.api()
            found.runs = {recipe: api.trigger(recipe, {"train.epochs": 3}) for recipe in RECIPES}
            yield found


def test_nothing_is_kept_in_sqlite(played: PlayedRuns) -> None:
    """The variable holds for every component."""
    assert not list(played.server.home.glob("*.db"))


def test_bad_data_fails_at_once(played: PlayedRuns) -> None:
    """65: one try, one launch."""
    assert played.over("broken").state == "failed"
    assert played.tasks("broken")["ingest"]["try_number"] == 1
    assert played.toys.launches("broken", "ingest") == 1


def test_a_waived_and_approved_run_comes_back_elsewhere(played: PlayedRuns, tmp_path: Path) -> None:
    """Trigger with values, waive, approve, tag; a fresh clone pulls all of it."""
    api = played.server.api()
    gate = played.question("released")
    assert gate.task == "train"
    api.answer(gate, ["Waive"], {"reason": "A toy."})
    played.until("released", "train", "success")
    approval = played.question("released")
    assert approval.task == "approve"
    assert "train.epochs = 3" in approval.body
    api.answer(approval, ["Approve"])
    assert played.over("released").state == "success"
    elsewhere = tmp_path / "elsewhere"
    run("git", "clone", "--quiet", str(played.toys.root), str(elsewhere), cwd=tmp_path)
    run("git", "checkout", "--quiet", "released@v0.1.0", cwd=elsewhere)
    run("dvc", "pull", cwd=elsewhere)
    folder = played.server.voxmill_home / "runs" / "released" / run_id(played.runs["released"])
    expected = hashes(folder / "artifacts" / "released")
    assert hashes(elsewhere / "artifacts" / "released") == expected
    assert {path.split("/")[0] for path in expected} == set(STAGES)


def test_a_refused_release_is_skipped(played: PlayedRuns) -> None:
    """`Reject` ends the run well, without a version."""
    played.server.api().answer(played.question("refused"), ["Reject"])
    assert played.over("refused").state == "success"
    assert played.tasks("refused")["release"]["state"] == "skipped"
    assert not [tag for tag in played.toys.tags() if tag.startswith("refused")]
