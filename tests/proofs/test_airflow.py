"""Proof of Airflow as people use it: toy stages, and everything else real.

A real server on SQLite, started as a person does, real git, DVC and processes. Each test looks at
one recipe, whose run began when the first of them asked for it: they go on side by side.
`make proof AREA=airflow`, with the modules beside this one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from toys.airflow_server import running_server, wait
from toys.played_runs import (
    PATIENCE_SECONDS,
    PlayedRuns,
    asked_again,
    job_process,
    run_id,
    task_process,
)
from toys.scenarios import scenarios
from voxmill.orchestration.airflow_api import AirflowRefused

RECIPES = (
    "approved", "rejected", "waived", "stopped", "leaving", "broken", "orphaned", "interrupted",
)  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedRuns]:
    """The server with all runs begun; what their stages are to do is ordered before."""
    toys = scenarios(tmp_path_factory.mktemp("airflow"), RECIPES)
    toys.order("waived", "audit.failed")
    toys.order("stopped", "ingest.failed")
    toys.order("leaving", "ingest.exit", 75)
    toys.order("broken", "ingest.exit", 70)
    toys.order("orphaned", "ingest.sleep", 45)
    home = tmp_path_factory.mktemp("home")
    logins = ("--user", "vera:viewer", "--user", "olga:op")
    environ = {"VOXMILL_GRAFANA_URL": "http://grafana.example:3000"}
    with running_server(toys.root, home, arguments=logins, environ=environ) as server:
        found = PlayedRuns(server, toys)
        api = server.api()
        found.runs = {recipe: api.trigger(recipe, {}) for recipe in RECIPES[:-1]}
        yield found


def test_a_job_outlives_its_task_and_the_next_try_attaches(played: PlayedRuns) -> None:
    """The task's process is killed: the job goes on, and is found, not started again."""
    played.launched("orphaned", "ingest")
    task, job = task_process(played, "orphaned", "ingest"), job_process(played, "orphaned")
    task.kill()
    played.until("orphaned", "ingest", "up_for_retry")
    assert job.alive
    ingest = played.until("orphaned", "ingest", "success")
    assert ingest["try_number"] == 2
    assert played.toys.launches("orphaned", "ingest") == 1
    played.abandon("orphaned")


def test_a_stage_that_failed_for_good_fails_at_once(played: PlayedRuns) -> None:
    """70 needs a person: one try, one launch, a reason in the log, nothing behind it runs."""
    assert played.over("broken").state == "failed"
    tasks = played.tasks("broken")
    assert (tasks["ingest"]["state"], tasks["ingest"]["try_number"]) == ("failed", 1)
    assert played.toys.launches("broken", "ingest") == 1
    assert played.toys.launches("broken", "audit") == 0
    assert tasks["release"]["state"] == "upstream_failed"
    assert any("exit code 70" in line for line in played.log("broken", "ingest"))


def test_a_stage_that_left_comes_back_and_uses_no_retry(played: PlayedRuns) -> None:
    """75 is no failure: the task waits, is tried again by itself, and counts no further try."""
    played.launched("leaving", "ingest")
    played.until("leaving", "ingest", "up_for_reschedule")
    (played.toys.toy.control / "leaving" / "ingest.exit").unlink()
    ingest = played.until("leaving", "ingest", "success")
    assert ingest["try_number"] == 1
    assert played.toys.launches("leaving", "ingest") >= 2
    played.abandon("leaving")


def test_a_failed_gate_asks_and_stop_ends_the_run(played: PlayedRuns) -> None:
    """`Stop` fails the task with 66 and the person's reason; nothing behind the gate ran."""
    question = played.question("stopped")
    assert (question.task, question.options) == ("ingest", ("Waive", "Stop"))
    played.server.api("olga").answer(question, ["Stop"], {"reason": "Wrong microphone."})
    assert played.over("stopped").state == "failed"
    tasks = played.tasks("stopped")
    assert (tasks["ingest"]["state"], tasks["ingest"]["try_number"]) == ("failed", 1)
    said = "\n".join(played.log("stopped", "ingest"))
    assert "Wrong microphone." in said
    assert "exit code 66" in said
    assert "olga" in said
    assert played.toys.launches("stopped", "ingest") == 1
    assert played.toys.launches("stopped", "audit") == 0


def test_a_failed_gate_shows_its_checks(played: PlayedRuns) -> None:
    """In the question, in the log's last lines and in an XCom: name, value, limit, what to do."""
    question = played.question("waived")
    for words in ("audit.quality", "0.5", "at most 0.4", "Look at the data."):
        assert words in question.body
    assert "audit.quality" in question.subject
    own = [line for line in played.log("waived", "audit") if '"::' not in line]
    assert any("Failed check: audit.quality: 0.5" in line for line in own[-6:]), own
    run = played.runs["waived"].id
    checks = played.server.api().xcom("waived", run, "audit", key="failed_checks")
    assert [(check["name"], check["limit"]) for check in checks] == [
        ("audit.quality", "at most 0.4")
    ]


def test_a_waiver_needs_a_reason_and_a_right(played: PlayedRuns) -> None:
    """A viewer may not answer; without a reason the question comes back."""
    question = played.question("waived")
    with pytest.raises(AirflowRefused) as refusal:
        played.server.api("vera").answer(question, ["Waive"], {"reason": "I may not."})
    assert refusal.value.status == 403
    played.server.api("olga").answer(question, ["Waive"], {"reason": "   "})
    again = wait(lambda: asked_again(played, "waived"), PATIENCE_SECONDS, "the question to return")
    assert again.options == ("Waive", "Stop")
    assert played.toys.remembered("waived", "waivers.jsonl") == []


def test_a_waiver_is_remembered_with_who_and_why(played: PlayedRuns) -> None:
    """The line stands in the main branch's memory, and the run goes on to its release."""
    api = played.server.api("olga")
    api.answer(played.question("waived"), ["Waive"], {"reason": "Known noise."})
    played.until("waived", "audit", "success")
    [waiver] = played.toys.remembered("waived", "waivers.jsonl")
    assert waiver["check"].endswith("audit.quality")
    assert waiver["why"] == "Known noise."
    assert "olga" in waiver["who"]
    assert waiver["run"] == run_id(played.runs["waived"])
    approval = played.question("waived")
    assert "Known noise." in approval.body
    assert played.toys.launches("waived", "audit") == 1
    played.abandon("waived")


def test_two_recipes_run_at_once(played: PlayedRuns) -> None:
    """One run does not wait for another recipe's."""
    spans = {}
    for recipe in ("approved", "rejected"):
        played.question(recipe)
        tasks = played.tasks(recipe)
        spans[recipe] = (tasks["open"]["start_date"], tasks["evaluate"]["end_date"])
    assert spans["approved"][0] < spans["rejected"][1]
    assert spans["rejected"][0] < spans["approved"][1]


def test_the_approval_shows_figures_and_takes_one_answer(played: PlayedRuns) -> None:
    """Version, figures and links; a viewer may not answer (403), nobody a second time (409)."""
    question = played.question("approved")
    for words in ("v0.1.0", "3.00", "/voxmill/runs/approved/"):
        assert words in question.subject + question.body
    with pytest.raises(AirflowRefused) as refusal:
        played.server.api("vera").answer(question, ["Approve"])
    assert refusal.value.status == 403
    played.server.api("olga").answer(question, ["Approve"])
    with pytest.raises(AirflowRefused) as refusal:
        played.server.api().answer(question, ["Reject"])
    assert refusal.value.status == 409
    assert played.over("approved").state == "success"
    assert {"approved@v0.1.0", "approved#champion#1"} <= played.toys.tags()
    released = played.server.api().xcom("approved", played.runs["approved"].id, "release")
    assert released["tag"] == "approved@v0.1.0"
    assert "olga" in released["approved_by"]


def test_a_refused_release_is_skipped(played: PlayedRuns) -> None:
    """`Reject` is no failure: the run ends well, without a version."""
    played.server.api("olga").answer(played.question("rejected"), ["Reject"])
    assert played.over("rejected").state == "success"
    states = {name: task["state"] for name, task in played.tasks("rejected").items()}
    assert states.pop("release") == "skipped"
    assert set(states.values()) == {"success"}
    assert not [tag for tag in played.toys.tags() if tag.startswith("rejected")]


def test_a_task_links_to_its_report_and_its_metrics(played: PlayedRuns) -> None:
    """The API gives the links; the report's leads to a page of this server."""
    run = played.runs["rejected"]
    path = f"/api/v2/dags/rejected/dagRuns/{run.id}/taskInstances/train/links"
    links = played.server.api()._asked("GET", path)["extra_links"]
    assert links["Run branch"] is None  # the origin is a folder
    assert links["Metrics"] == (
        f"http://grafana.example:3000/d/voxmill-training?var-recipe=rejected&var-run={run_id(run)}"
    )
    page = played.get(links["Report"], "vera")
    assert page.status_code == 200
    assert "train.quality" in page.text
    overview = played.get(f"/voxmill/runs/rejected/{run_id(run)}/", "vera")
    assert overview.text.count("✓ passed") == 8


def test_only_those_who_are_logged_in_see_reports(played: PlayedRuns) -> None:
    """Others get 401, or the login in a browser; and no path leads out of a stage's folder."""
    page = f"/voxmill/runs/rejected/{run_id(played.runs['rejected'])}/train/"
    assert played.get(page).status_code == 401
    sent = played.get(page, accept="text/html")
    assert (sent.status_code, sent.headers["location"].split("?")[0]) == (303, "/api/v2/auth/login")
    assert played.get(page, authorization="Bearer nonsense").status_code in {401, 403}
    outside = played.get(f"{page}..%2f..%2f..%2frun.json", "vera")
    assert outside.status_code == 404
    assert "base_commit" not in outside.text


def test_a_killed_scheduler_costs_no_stage(played: PlayedRuns) -> None:
    """SIGKILL in mid-run: the scheduler comes back, the run ends well, the stage ran once."""
    played.toys.order("interrupted", "audit.sleep", 20)
    played.runs["interrupted"] = played.server.api().trigger("interrupted", {})
    played.launched("interrupted", "audit")
    before = played.server.components["scheduler"]
    before.signal(signal.SIGKILL)
    wait(lambda: True if played.server.components["scheduler"] != before else None, 60, "another")
    played.server.api().answer(played.question("interrupted"), ["Approve"])
    assert played.over("interrupted").state == "success"
    launches = {name: played.toys.launches("interrupted", name) for name in ("ingest", "audit")}
    assert launches == {"ingest": 1, "audit": 1}
    assert "interrupted@v0.1.0" in played.toys.tags()
