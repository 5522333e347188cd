"""What a process's own log looks like, from outside, and how a line is read back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime

import pytest

from voxmill.observability.log_context import log_context
from voxmill.observability.log_line import as_json, as_text, event_of

HIDDEN = "not-to-be-" + "seen-1234"
PROGRAM = """
import logging, os, sys, threading, warnings
from voxmill.observability.log_context import log_context
from voxmill.observability.logs import log_mode, say_last, set_up_logging

set_up_logging(log_mode(os.environ), os.environ)
logger = logging.getLogger("voxmill.here")
with log_context(recipe="digits", run="one", stage="train", attempt=2, step=7):
    logger.info("two\\nlines, %s", "ž")
    try:
        raise ValueError("at " + os.environ["A_TOKEN"])
    except ValueError:
        logger.exception("failed with %s", os.environ["A_TOKEN"])
warnings.warn("an old way")
say_last("that is 100 % all with " + os.environ["A_TOKEN"], 65)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("a bug with " + os.environ["A_TOKEN"])
"""
FIELDS = {"time", "level", "logger", "message", "request"}


def said(mode: str, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "VOXMILL_LOG": mode, "A_TOKEN": HIDDEN, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert HIDDEN not in done.stdout + done.stderr
    return done.stderr.splitlines()


def test_json_is_one_object_for_each_event_and_nothing_else() -> None:
    """Warnings, a failing command's last word and bugs are events too."""
    events = [json.loads(line) for line in said("json", VOXMILL_REQUEST="r-1", VOXMILL_RUN="two")]
    assert all(set(event) >= FIELDS and event["request"] == "r-1" for event in events)
    first, failed, warned, last, threaded, bug = events
    assert first["message"] == "two\nlines, ž"
    assert list(first)[4:] == ["recipe", "run", "stage", "attempt", "step", "request"]
    assert (first["run"], first["attempt"], first["step"]) == ("one", 2, 7)
    moment = datetime.fromisoformat(first["time"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert abs((datetime.now(moment.tzinfo) - moment).total_seconds()) < 60
    assert failed["message"] == "failed with ***"
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ValueError: at ***")
    assert warned["level"] == "WARNING"
    assert "an old way" in warned["message"]
    assert last["message"] == "that is 100 % all with ***"
    assert (last["run"], last["exit_code"]) == ("two", 65)
    assert threaded["message"].startswith("ZeroDivisionError")
    assert bug["exception"].endswith("RuntimeError: a bug with ***")


def test_text_is_time_level_message_and_where() -> None:
    """For people; a command's last word has no time, and a bug keeps its traceback."""
    lines = said("text")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO two", lines[0])
    assert lines[1] == "lines, ž [digits/one train]"
    assert "voxmill: that is 100 % all with ***" in lines
    assert lines[-1] == "RuntimeError: a bug with ***"
    assert "ZeroDivisionError: division by zero" in lines


def test_a_request_is_fresh_where_nobody_gave_one() -> None:
    """The same for all lines of a process, another one for the next."""
    first, second = (
        {json.loads(line)["request"] for line in said("json", VOXMILL_REQUEST="")} for _ in range(2)
    )
    assert len(first) == len(second) == 1
    assert first != second


def test_a_wrong_mode_is_refused() -> None:
    """With what is expected."""
    done = subprocess.run(
        [sys.executable, "-m", "voxmill.cli.main", "--version"],
        env={**os.environ, "VOXMILL_LOG": "xml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == "voxmill: VOXMILL_LOG=xml: expected `json`, `text` or nothing.\n"


EVENT = {"time": "2026-11-21T03:45:12.123Z", "level": "INFO", "logger": "voxmill.x", "message": "m"}


def test_json_is_read_as_text() -> None:
    """In this machine's time; an exception's lines follow."""
    local = datetime.fromisoformat(EVENT["time"]).astimezone()
    stamp = f"{local:%Y-%m-%d %H:%M:%S},123"
    assert as_text(json.dumps(EVENT)) == f"{stamp} INFO m"
    assert as_text(json.dumps({**EVENT, "exception": "T\nE"})) == f"{stamp} INFO m\nT\nE"
    last = {**EVENT, "logger": "voxmill", "message": "cause", "exit_code": 65}
    assert as_text(json.dumps(last)) == "voxmill: cause"


@pytest.mark.parametrize(
    "line", ["", "plain", "{", '{"a": 1}', "[1]", '{"time": 3, "level": "INFO", "message": "m"}']
)
def test_any_other_line_stays_as_it_is(line: str) -> None:
    """Only our own events are rendered."""
    assert event_of(line) is None
    assert as_text(line) == line


def test_text_is_read_as_json() -> None:
    """Its time and level are kept; what it belongs to comes from here."""
    text = as_text(json.dumps(EVENT))
    with log_context(recipe="digits", run="one", stage="train"):
        event = json.loads(as_json(text))
        assert event["time"] == EVENT["time"]
        assert (event["level"], event["message"], event["stage"]) == ("INFO", "m", "train")
        raw = json.loads(as_json("something"))
        assert (raw["level"], raw["message"], raw["run"]) == ("INFO", "something", "one")
        assert json.loads(as_json("voxmill: no"))["level"] == "ERROR"
        kept = json.loads(as_json(json.dumps({**EVENT, "stage": "ingest", "note": "a://b:cd@e"})))
        assert (kept["stage"], kept["note"]) == ("ingest", "a://b:***@e")
