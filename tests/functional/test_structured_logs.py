"""A run's logs from outside: real commands, real jobs, Airflow's own supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toys.airflow_server import toy_project_with_dags
from toys.toy_project import STAGES, ToyProject, make_project

TESTS = Path(__file__).resolve().parents[1]
HIDDEN = "not-to-be-" + "seen-1234"
WORDS = f"ftp://me:{HIDDEN}@host\n{HIDDEN}"
"""A password that shows itself as one, logged; and a secret of the worker, past any logger."""
AIRFLOW_RUN = "manual__2026-11-21T03:00:00+00:00"


def resume(toy: ToyProject, mode: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`voxmill resume one` in a process with a secret."""
    script = str(TESTS / "toys" / "toy_command.py")
    environ = {name: value for name, value in os.environ.items() if name != "VOXMILL_LOG"}
    return subprocess.run(
        [sys.executable, script, str(toy.control), "resume", "one", *options],
        cwd=toy.root,
        env=environ | {"TOY_API_KEY": HIDDEN, "VOXMILL_LOG": mode},
        capture_output=True,
        text=True,
        check=False,
    )


def events(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A run whose train says a secret and fails, in JSON; then goes on as text."""
    toy = make_project(tmp_path_factory.mktemp("speaking"))
    toy.open("one")
    toy.order("train.speaks", WORDS)
    toy.order("train.exit", 65)
    return toy


@pytest.fixture(scope="module")
def in_json(speaking: ToyProject) -> subprocess.CompletedProcess[str]:
    return resume(speaking, "json")


@pytest.fixture(scope="module")
def in_text(
    speaking: ToyProject, in_json: subprocess.CompletedProcess[str]
) -> subprocess.CompletedProcess[str]:
    (speaking.control / "train.exit").unlink()
    return resume(speaking, "text")


def test_every_line_is_an_event_of_the_run(in_json: subprocess.CompletedProcess[str]) -> None:
    """What people would read, the jobs' lines and the last word included."""
    assert in_json.returncode == 65, in_json.stderr
    told = events(in_json.stdout) + events(in_json.stderr)
    assert len(told) > 10
    for event in told:
        assert set(event) >= {"time", "level", "message", "request"}, event
        assert (event["recipe"], event["run"]) == ("digits", "one"), event
    assert len({event["request"] for event in told}) == 1
    (step,) = [event for event in told if event.get("step") == 3]
    assert (step["stage"], step["attempt"]) == ("train", 1)
    assert step["logger"] == "voxmill.toys"
    (raw,) = [event for event in told if event["message"] == "raw: ***"]
    assert (raw["stage"], raw["attempt"]) == ("train", 1)
    last = events(in_json.stderr)[-1]
    assert last["exit_code"] == 65
    assert "It said: cannot go on: ftp://me:***@host" in last["message"]


def test_the_run_s_log_has_the_events_of_worker_and_stages(
    speaking: ToyProject, in_text: subprocess.CompletedProcess[str]
) -> None:
    """As JSON whatever the terminal got, of every process and every try."""
    assert in_text.returncode == 0, in_text.stderr
    told = events(speaking.open("one").log.read_text())
    assert all((event["recipe"], event["run"]) == ("digits", "one") for event in told)
    heard = [event for event in told if event["message"].startswith("heard: ")]
    assert [event["attempt"] for event in heard] == [1, 2]
    assert {event["stage"] for event in told if "stage" in event} >= {*STAGES}
    for request in (event["request"] for event in heard):
        same = {event["logger"] for event in told if event["request"] == request}
        assert same >= {"voxmill.toys", "voxmill.launchers.stage_launch"}
    assert [event["exit_code"] for event in told if "exit_code" in event] == [65, 65]


def test_a_terminal_and_the_log_of_a_try_stay_readable(
    speaking: ToyProject, in_text: subprocess.CompletedProcess[str]
) -> None:
    """A try's own log is plain text unless somebody asked for JSON."""
    assert "INFO step 3/9 loss 0.5\n" in in_text.stdout
    log = speaking.open("one").log.with_name("train.2.log").read_text()
    assert " WARNING heard: ftp://me:***@host\n" in log
    assert not any(line.startswith("{") for line in (in_text.stdout + log).splitlines())
    assert "[digits/one train]" in in_text.stderr


def test_the_secret_is_nowhere(
    speaking: ToyProject,
    in_json: subprocess.CompletedProcess[str],
    in_text: subprocess.CompletedProcess[str],
) -> None:
    """Neither in what was printed nor in the run's log; it was said, with stars."""
    refused = [resume(speaking, mode, "--until", HIDDEN) for mode in ("json", "text")]
    for done in refused:
        assert done.returncode == 64
        assert "--until ***: digits has no such stage" in done.stderr
        assert HIDDEN not in done.stdout + done.stderr
    printed = in_json.stdout + in_json.stderr + in_text.stdout + in_text.stderr
    kept = speaking.open("one").log.read_text()
    for text in (printed, kept):
        assert HIDDEN not in text
        assert "heard: ftp://me:***@host" in text
    assert kept.count("--until ***: digits has no such stage") == 2


def test_airflow_s_log_is_readable_names_the_request_and_keeps_the_secret(
    tmp_path: Path,
) -> None:
    """The request is the task's try; the stage's lines in the run's log carry it too."""
    toy = toy_project_with_dags(tmp_path / "toy")
    toy.order("ingest.speaks", WORDS)
    toy.order("ingest.exit", 65)
    home = tmp_path / "airflow"
    script = TESTS / "toys" / "supervised_task.py"
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environ |= {"PYTHONPATH": str(TESTS), "VOXMILL_LOG": "json", "TOY_TOKEN": HIDDEN}
    arguments = (toy.root, home, "digits", AIRFLOW_RUN, "ingest", 1, toy.control)
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env=environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (home / "logs" / "digits" / "ingest.1.log").read_text()
    assert HIDDEN not in text + done.stdout + done.stderr
    told = events(text)
    assert [event for event in told if "raw: ***" in str(event["event"])]
    assert [event for event in told if "INFO step 3/9 loss 0.5" in str(event["event"])]
    assert [event for event in told if "cannot go on: ftp://me:***@host" in json.dumps(event)]
    request = "manual-2026-11-21t03-00-00-00-00.ingest.1"
    assert [event for event in told if event.get("request") == request]
    (log,) = (toy.root / ".voxmill" / "runs" / "digits").glob("*/work/digits/logs/manual-*.log")
    kept = events(log.read_text())
    assert HIDDEN not in log.read_text()
    assert {event["request"] for event in kept} == {request}
    assert {event["logger"] for event in kept} >= {"voxmill.toys", "voxmill"}
