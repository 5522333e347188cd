"""Proof of what starts, waits and alerts by itself, on a real server with a real scheduler.

Toy stages; everything else is real: scheduler, triggerer, pools, git, DVC, a webhook that listens.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from toys.airflow_server import running_server, wait
from toys.played_runs import PlayedRuns, task_process
from toys.scenarios import scenarios
from voxmill.orchestration.airflow_answers import DagRunState

RECIPES = ("watched", "clocked", "late", "gpu-one", "gpu-two", "broken", "killed")
SETTINGS = {
    "watched": {"schedule": {"watch_source": True, "min_hours_between_runs": 0.0}},
    "clocked": {"schedule": {"cron": "* * * * *"}},
    "late": {"schedule": {"deadline_hours": 12 / 3600}},
    "gpu-one": {"resources": {"gpus": 1}},
    "gpu-two": {"resources": {"gpus": 1}},
}
PATIENCE_SECONDS = 300


class Webhook:
    """A server that keeps every text it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                told.append(json.loads(self.rfile.read(size))["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def about(self, recipe: str, event: str) -> list[str]:
        return [text for text in self.told if text.startswith(f"*{recipe}: {event}")]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[PlayedRuns]:
    """The server, and a project whose recipes start and wait by themselves."""
    toys = scenarios(tmp_path_factory.mktemp("schedules"), RECIPES)
    for recipe in ("late", "gpu-one", "gpu-two", "killed"):
        toys.order(recipe, "ingest.sleep", 240)
    toys.order("broken", "ingest.exit", 70)
    file = toys.root / "pipeline.json"
    snapshot = json.loads(file.read_text())
    for recipe, settings in SETTINGS.items():
        snapshot["recipes"][recipe] |= {"release": {"auto": True}, **settings}
    snapshot["recipes"]["killed"]["stages"]["ingest"]["meta"]["retries"] = 0
    file.write_text(json.dumps(snapshot))
    toys.toy.git("commit", "--quiet", "--all", "--message=Schedule them")
    environ = {"VOXMILL_WEBHOOK_URL": webhook.url}
    with running_server(toys.root, tmp_path_factory.mktemp("home"), environ=environ) as server:
        yield PlayedRuns(server, toys)


def triggered(played: PlayedRuns, recipe: str) -> None:
    played.runs[recipe] = played.server.api().trigger(recipe, {})


def runs_by_itself(played: PlayedRuns, dag: str, kind: str, count: int) -> list[DagRunState]:
    """The DAG's runs of a kind when there are so many."""

    def there() -> list[DagRunState] | None:
        found = [run for run in played.server.api().dag_runs(dag) if run.id.startswith(kind)]
        return sorted(found, key=lambda run: run.id) if len(found) >= count else None

    return wait(there, PATIENCE_SECONDS, f"{count} {kind} runs of {dag}")


def looked(played: PlayedRuns) -> str:
    """State of the task of one look at the source."""
    run = played.server.api().trigger("sync_watched", {})
    over = played.server.wait_for_run(run, timeout_seconds=PATIENCE_SECONDS)
    assert over.state == "success"
    [task] = played.server.api().tasks("sync_watched", run.id)
    return task.state


def test_the_clock_starts_a_run(played: PlayedRuns, webhook: Webhook) -> None:
    """A run that nobody triggered asks for nothing special, is released, and people are told."""
    run = runs_by_itself(played, "clocked", "scheduled", 1)[0]
    over = played.server.wait_for_run(run, timeout_seconds=PATIENCE_SECONDS)
    assert (over.state, over.conf) == ("success", {})
    played.server.api().pause("clocked")  # a run each minute would slow down all others
    assert "clocked@v0.1.0" in played.toys.tags()
    wait(lambda: webhook.about("clocked", "released") or None, 30, "the release to be told")
    assert len(webhook.about("clocked", "released")) == 1
    assert webhook.about("clocked", "run failed") == []


def test_a_run_that_is_late_is_told_and_goes_on(played: PlayedRuns, webhook: Webhook) -> None:
    """The triggerer tells; the run is not touched, and ends well."""
    triggered(played, "late")
    wait(lambda: webhook.about("late", "deadline missed") or None, PATIENCE_SECONDS, "the alert")
    run = played.runs["late"]
    assert played.server.api().dag_run("late", run.id).state == "running"
    (played.toys.toy.control / "late" / "ingest.sleep").unlink()
    [told] = webhook.about("late", "deadline missed")
    assert run.id in told
    assert f"{played.server.url}/dags/late/runs/" in told
    assert played.until("late", "ingest", "success")["try_number"] == 1
    played.abandon("late")


def test_each_failed_run_is_told_once(played: PlayedRuns, webhook: Webhook) -> None:
    """By its task, with the reason; by the DAG where the task was killed and could not."""
    for recipe in ("broken", "killed"):
        triggered(played, recipe)
    played.launched("killed", "ingest")
    task_process(played, "killed", "ingest").kill()
    assert played.over("broken").state == "failed"
    assert played.over("killed").state == "failed"
    (played.toys.toy.control / "killed" / "ingest.sleep").unlink()
    wait(lambda: webhook.about("killed", "run failed") or None, PATIENCE_SECONDS, "the notice")
    [killed] = webhook.about("killed", "run failed at ingest")
    assert "it was killed" in killed
    [broken] = webhook.about("broken", "run failed")
    assert broken.splitlines()[0] == "*broken: run failed at ingest*"
    assert "exit code 70" in broken


def test_one_gpu_runs_one_training(played: PlayedRuns) -> None:
    """Two runs that want the machine's one slot: one works, the other is not even begun."""
    for recipe in ("gpu-one", "gpu-two"):
        triggered(played, recipe)
    stage = dict.fromkeys(("gpu-one", "gpu-two"))

    def one_works_and_one_waits() -> bool | None:
        stage.update({recipe: played.tasks(recipe)["ingest"]["state"] for recipe in stage})
        return True if sorted(map(str, stage.values())) == ["running", "scheduled"] else None

    wait(one_works_and_one_waits, PATIENCE_SECONDS, f"one to work: {stage}")
    first = next(recipe for recipe, state in stage.items() if state == "running")
    [second] = set(stage) - {first}
    played.launched(first, "ingest")
    assert played.tasks(first)["ingest"]["pool"] == "gpu"
    assert played.toys.launches(second, "ingest") == 0
    for recipe in stage:
        (played.toys.toy.control / recipe / "ingest.sleep").unlink()
    played.until(first, "ingest", "success")
    played.until(second, "ingest", "success")
    for recipe in stage:
        played.abandon(recipe)


def test_new_content_starts_a_run_and_the_same_does_not(played: PlayedRuns) -> None:
    """Event, run without a form, release; then nothing until the content changes.

    The scheduler looks by itself meanwhile, every quarter of an hour, so that the look of this test
    may find nothing to announce any more; there is one run for each content all the same.
    """
    looked(played)
    [run] = runs_by_itself(played, "watched", "asset_triggered", 1)
    assert run.conf == {}
    over = played.server.wait_for_run(run, timeout_seconds=PATIENCE_SECONDS)
    assert over.state == "success"
    assert "watched@v0.1.0" in played.toys.tags()
    assert looked(played) == "skipped"
    (played.toys.root / "recordings" / "new.wav").write_bytes(b"new")
    looked(played)
    _, second = runs_by_itself(played, "watched", "asset_triggered", 2)
    over = played.server.wait_for_run(second, timeout_seconds=PATIENCE_SECONDS)
    assert over.state == "success"
    assert {"watched@v0.1.0", "watched@v0.1.1"} <= played.toys.tags()
