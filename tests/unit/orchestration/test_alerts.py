"""What people are told of, and when an Asset has news, seen through DAG runs of real Airflow."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
DAG_FILE = """# Airflow DAGs of toys.
from toys import alert_dags

globals().update(alert_dags.DAGS)
"""
WANTED = ("fails", "releases", "on-a-gpu", *["sync_watched"] * 5)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The runs in order, the Asset events, and every text that a webhook got."""
    project = tmp_path_factory.mktemp("alerts")
    (project / "dags").mkdir()
    (project / "dags" / "alerts_of_airflow.py").write_text(DAG_FILE)
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook-with-a-secret"
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environ |= {"PYTHONPATH": str(TESTS), "VOXMILL_WEBHOOK_URL": url}
    done = subprocess.run(
        [sys.executable, TESTS / "toys" / "play_alerts.py", project, project / "home", *WANTED],
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    log = done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"told": told, "log": log}


def runs(played, dag):
    return [run for run in played["runs"] if run["dag"] == dag]


def test_a_failed_run_is_told_once_with_reason_remedy_and_link(played):
    """Rule: one notice for a run, however many tasks behind the failed one never start."""
    [told] = [text for text in played["told"] if text.startswith("*fails:")]
    subject, reason, run, advice, log = told.splitlines()
    assert subject == "*fails: run failed at train*"
    assert reason == "Recording r17: 0 samples. Remove it."
    assert run.endswith(runs(played, "fails")[0]["run"])
    assert advice.startswith("What to do: look at the data")
    assert log.startswith("Log: http://localhost:8080/dags/fails/runs/manual__")
    assert log.endswith("/tasks/train")


def test_a_release_is_told_with_the_way_to_get_it(played):
    """Rule: who waits for a model reads its tag."""
    [told] = [text for text in played["told"] if text.startswith("*releases:")]
    assert told.splitlines()[0] == "*releases: released*"
    assert "git checkout releases@v0.1.0 &amp;&amp; dvc pull" in told


def test_new_content_makes_one_event_and_nothing_else_does(played):
    """Rule: skipped and failed looks emit nothing; what was announced is not announced twice."""
    looks = [run["tasks"]["sync"] for run in runs(played, "sync_watched")]
    assert looks == ["success", "skipped", "failed", "failed", "skipped"]
    news = {"content": "a", "added": 2, "removed": 0, "changed": 1}
    assert played["events"] == [["watched/source", news]]
    assert "announced at" in played["log"]


def test_a_source_that_stays_away_is_told_once(played):
    """Rule: a look every 15 minutes is no reason to tell people every 15 minutes."""
    [told] = [text for text in played["told"] if text.startswith("*watched:")]
    assert told.splitlines()[:2] == [
        "*watched: source cannot be read*",
        "Source recordings: no such folder. Mount it.",
    ]


def test_a_run_in_one_process_needs_no_pool(played):
    """Rule: `voxmill demo` runs a recipe with GPUs although nobody made the pool."""
    [run] = runs(played, "on-a-gpu")
    assert run["state"] == "success"
    assert run["tasks"]["train"] == "success"


def test_no_secret_is_in_the_log(played):
    """Rule: the webhook's address is its password."""
    assert "hook-with-a-secret" not in played["log"]
