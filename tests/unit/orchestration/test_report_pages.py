"""The pages of runs: what they show, and that they show nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from toys.checkout import toy_checkout, write_report
from voxmill.orchestration.report_pages import make_app
from voxmill.orchestration.report_pages_files import Place
from voxmill.runs.run import RunRecord
from voxmill.runs.state import StageRecord, write_record

RUN = "manual-2026"
BROWSER = {"accept": "text/html,application/xhtml+xml"}
CHECK = {"name": "audit.<b>share</b>", "value": 0.51234, "limit": "at most 0.02", "passed": False}


@pytest.fixture
def home(tmp_path):
    """Runs with one run of `digits`: ingest has its report, audit brings its own page."""
    folder = tmp_path / "runs" / "digits" / RUN
    folder.mkdir(parents=True)
    toy_checkout(folder)
    RunRecord(
        recipe="digits", id=RUN, airflow_run_id="manual__2026", base_commit="a" * 40,
        voxmill="0", overrides={"train.epochs": 3}, created="2026-11-21T03:00:00.000+00:00",
        user="Ada <ada@example.org>",
    ).write(folder)  # fmt: skip
    write_report(
        folder / "artifacts/digits/ingest", "ingest", verdict="failed", seconds=75.5,
        checks=[{**CHECK, "help": "Listen to them."}], figures={"files": 3, "shares": {"a": 0.1}},
    )  # fmt: skip
    write_record(folder, "ingest", StageRecord(outcome="executed", verdict="failed", time="t"))
    (tmp_path / "project" / "monitoring").mkdir(parents=True)
    (tmp_path / "project" / "monitoring" / "runbook.md").write_text(
        "# Runbook\n\n## VoxmillRunStuck\n\n<script>bad()</script> [go](javascript:bad())\n"
    )
    return tmp_path


def open_to_all(home: Path, **guards) -> TestClient:
    place = Place(project=home / "project", runs=home / "runs")
    guards = {"guard": lambda: None, "recipe_guard": lambda: None, **guards}
    return TestClient(make_app(place, **guards), follow_redirects=False)


@pytest.fixture
def client(home):
    return open_to_all(home)


def folder_of(home: Path) -> Path:
    return home / "runs" / "digits" / RUN


def bring_page(home: Path) -> Path:
    """Gives audit a page of its own with a file beside it."""
    folder = folder_of(home) / "artifacts" / "digits" / "audit"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<h1>Heard</h1>")
    (folder / "samples").mkdir()
    (folder / "samples" / "one.wav").write_bytes(b"RIFF")
    write_report(folder, "audit")
    return folder


def test_a_run_shows_its_stages_and_what_is_special(client):
    """Rule: a person sees how far it came and what differs from the recipe."""
    page = client.get(f"/runs/digits/{RUN}/")
    assert page.status_code == 200
    for words in ("train.epochs", "Ada &lt;ada@example.org&gt;", 'href="ingest/"', "to come"):
        assert words in page.text
    assert 'href="audit/"' not in page.text
    assert 'href="../../../../dags/digits/runs/manual__2026"' in page.text


def test_a_run_shows_what_was_waived(home, client):
    """Rule: a closed gate that let the run pass is told with who and why; other runs' are not."""
    memory = folder_of(home) / "memory" / "digits"
    waiver = {
        "run": RUN,
        "check": "ingest.share",
        "who": "Ada",
        "why": "Known <noise>.",
        "when": "t",
    }
    lines = [waiver, {**waiver, "run": "another", "why": "Of another run."}]
    (memory / "waivers.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = client.get(f"/runs/digits/{RUN}/").text
    assert "Known &lt;noise&gt;." in page
    assert "Of another run." not in page


def test_airflow_s_own_id_of_a_run_leads_to_it(client):
    """Rule: whoever knows only Airflow's id finds the run."""
    answer = client.get("/runs/digits/manual__2026/")
    assert answer.headers["location"] == f"/runs/digits/{RUN}/"


def test_a_dashboard_that_knows_our_id_leads_to_airflow_s_own_page(home, client):
    """Rule: ids with colons and plus signs arrive whole; a run by hand says that it is one."""
    mounted = TestClient(client.app, root_path="/base/voxmill", follow_redirects=False)
    record = RunRecord.read(folder_of(home))
    own = "manual__2026-11-21T03:00:00+00:00"
    replace(record, airflow_run_id=own).write(folder_of(home))
    answer = mounted.get(f"/runs/digits/{RUN}/airflow")
    assert answer.headers["location"] == (
        "/base/dags/digits/runs/manual__2026-11-21T03%3A00%3A00%2B00%3A00"
    )
    replace(record, airflow_run_id=None).write(folder_of(home))
    answer = client.get(f"/runs/digits/{RUN}/airflow", headers=BROWSER)
    assert answer.status_code == 404
    assert "started by hand" in answer.text


def test_a_stage_s_report_is_readable(client):
    """Rule: checks with value, limit and what to do; figures; every text escaped."""
    page = client.get(f"/runs/digits/{RUN}/ingest/").text
    for words in ("0.5123", "at most 0.02", "Listen to them.", "1 min 16 s", "&lt;b&gt;share"):
        assert words in page
    assert "<b>share" not in page


def test_a_stage_s_own_page_is_shown_with_what_lies_beside_it(home, client):
    """Rule: `evaluate` brings index.html; its assets are found by relative links."""
    bring_page(home)
    assert client.get(f"/runs/digits/{RUN}/audit/").text == "<h1>Heard</h1>"
    sound = client.get(f"/runs/digits/{RUN}/audit/samples/one.wav")
    assert sound.content == b"RIFF"
    report = client.get(f"/runs/digits/{RUN}/audit/report.json")
    assert report.headers["content-type"].startswith("text/plain")
    assert json.loads(report.text)["stage"] == "audit"


def test_pages_cannot_act_for_whoever_reads_them(home, client):
    """Rule: a page is an origin of its own, and HTML beside it is a download."""
    folder = bring_page(home)
    (folder / "other.html").write_text("<script>bad()</script>")
    page = client.get(f"/runs/digits/{RUN}/audit/")
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in page.headers["content-security-policy"]
    other = client.get(f"/runs/digits/{RUN}/audit/other.html")
    assert other.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path",
    [
        "digits/{run}/audit/../../../run.json",
        "digits/{run}/audit/..%2f..%2f..%2frun.json",
        "digits/{run}/audit/%2e%2e/%2e%2e/%2e%2e/run.json",
        "digits/{run}/audit/%2fetc%2fpasswd",
        "digits/{run}/audit//etc/passwd",
        "digits/{run}/audit/out",
        "digits/{run}/audit/%00",
        "digits/{run}/..%2f..%2fdigits%2f{run}%2fartifacts/",
        "digits/..%2f..%2fproject/",
        "..%2fruns%2fdigits/{run}/",
        "digits/.git/",
        "digits/{run}/.git/config",
        "digits/{run}/audit/samples",
    ],
)
def test_no_path_leads_out_of_a_stage_s_folder(home, client, path):
    """Rule: whatever is no file of a stage's output is not there."""
    folder = bring_page(home)
    (folder / "out").symlink_to(folder_of(home) / "run.json")
    answer = client.get(f"/runs/{path.format(run=RUN)}")
    assert answer.status_code in {307, 404}, answer.text
    assert "base_commit" not in answer.text
    assert "root:" not in answer.text


def test_a_run_of_another_machine_says_how_to_bring_it(client):
    """Rule: what is not here is a 404 with the commands that bring it."""
    answer = client.get("/runs/digits/elsewhere/")
    assert answer.status_code == 404
    assert "run/digits/elsewhere" in answer.text
    assert "dvc pull" in answer.text


def test_a_stage_without_files_says_whether_it_ran(home, client):
    """Rule: not yet run, and run but not here, are told apart."""
    answer = client.get(f"/runs/digits/{RUN}/audit/")
    assert answer.status_code == 404
    assert "has not finished" in answer.text
    write_record(folder_of(home), "audit", StageRecord(outcome="restored", verdict="passed"))
    answer = client.get(f"/runs/digits/{RUN}/audit/")
    assert answer.status_code == 404
    assert "dvc pull audit@digits" in answer.text
    assert client.get(f"/runs/digits/{RUN}/nonsense/").status_code == 404


def test_a_broken_report_says_what_is_wrong_with_it(home, client):
    """Rule: a file that is no report is named, and nothing breaks."""
    (folder_of(home) / "artifacts/digits/ingest/report.json").write_text("{")
    answer = client.get(f"/runs/digits/{RUN}/ingest/")
    assert answer.status_code == 500
    assert "is no stage report" in answer.text


def test_whoever_is_not_logged_in_sees_nothing(home):
    """Rule: a browser is sent to the login and back; a program gets 401."""

    def nobody() -> None:
        raise HTTPException(401, "Not authenticated")

    client = open_to_all(home, guard=nobody, recipe_guard=nobody)
    for path in (f"/runs/digits/{RUN}/", f"/runs/digits/{RUN}/ingest/report.json", "/runbook"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert "digits" not in answer.text
        sent = client.get(path, headers=BROWSER)
        assert sent.status_code == 303
        assert sent.headers["location"].startswith("/api/v2/auth/login?next=http")
    assert client.get("/openapi.json").status_code == 404


def test_the_runbook_can_be_linked_to_by_alert(client):
    """Rule: each alert's paragraph has its name as anchor; HTML in the text stays text."""
    page = client.get("/runbook").text
    assert 'id="voxmillrunstuck"' in page
    assert 'id="VoxmillRunStuck"' in page  # as Prometheus knows it
    assert "<script>" not in page
    assert 'href="javascript' not in page
