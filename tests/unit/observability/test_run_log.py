"""A run's log: whole lines from many processes, bounded, and never in a run's way."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from voxmill.observability.log_context import bind_log_context, log_context
from voxmill.observability.logs import JsonFormatter
from voxmill.observability.run_log import RunLogHandler

WRITER = """
import logging, sys
from pathlib import Path
from voxmill.observability.log_context import log_context
from voxmill.observability.logs import JsonFormatter
from voxmill.observability.run_log import RunLogHandler

number, log, limit, kept = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
handler = RunLogHandler(largest_bytes=limit, kept_files=kept)
handler.setFormatter(JsonFormatter())
logger = logging.getLogger("voxmill.writer")
logger.addHandler(handler)
logger.setLevel("INFO")
sys.stdin.readline()
with log_context(recipe="digits", run="one", attempt=number, log=log):
    for line in range(300):
        logger.info("%d %s", line, "x" * (37 * (line % 50)))
"""


def log_of(folder: Path) -> Path:
    path = folder / "run" / "work" / "digits" / "logs" / "one.log"
    path.parents[3].mkdir(exist_ok=True)
    return path


def handler(**bounds: int) -> RunLogHandler:
    made = RunLogHandler(**bounds)
    made.setFormatter(JsonFormatter())
    return made


def record(message: str, name: str = "voxmill.a", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, message, (), None)


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def parts(log: Path) -> list[Path]:
    return sorted(log.parent.iterdir())


@pytest.mark.parametrize(("limit", "kept"), [(20_000_000, 3), (100_000, 60)])
def test_lines_of_many_writers_never_mix_and_none_is_lost(
    tmp_path: Path, limit: int, kept: int
) -> None:
    """Also while the file is turned over under them."""
    log = log_of(tmp_path)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(log), str(limit), str(kept)],
            stdin=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0] * 4
    found = [event for part in parts(log) for event in events(part)]
    seen = sorted((event["attempt"], int(event["message"].split()[0])) for event in found)
    assert seen == [(number, line) for number in range(4) for line in range(300)]
    assert (len(parts(log)) > 5) == (limit == 100_000)


def test_the_log_and_its_older_parts_stay_below_their_bound(tmp_path: Path) -> None:
    """The newest lines are there, the oldest are gone."""
    log, keeper = log_of(tmp_path), handler(largest_bytes=2000, kept_files=3)
    with log_context(log=log):
        for number in range(200):
            keeper.handle(record(f"line {number}"))
    assert [part.name for part in parts(log)] == ["one.log", "one.log.1", "one.log.2"]
    assert all(part.stat().st_size <= 2200 for part in parts(log))
    lines = [event["message"] for part in reversed(parts(log)) for event in events(part)]
    assert lines == [f"line {number}" for number in range(200 - len(lines), 200)]


def test_only_a_run_s_own_lines_get_into_its_log(tmp_path: Path) -> None:
    """Ours, and what other libraries warn of."""
    log, keeper = log_of(tmp_path), handler()
    keeper.handle(record("nobody's"))
    with log_context(recipe="digits", run="one", stage="train", log=log):
        keeper.handle(record("ours"))
        keeper.handle(record("chatter", "urllib3"))
        keeper.handle(record("warned", "urllib3", logging.WARNING))
    keeper.handle(record("after"))
    assert [event["message"] for event in events(log)] == ["ours", "warned"]
    assert events(log)[0]["stage"] == "train"


def test_a_log_neither_stops_anybody_nor_brings_a_removed_run_back(tmp_path: Path) -> None:
    """A full or missing disk is told by whoever writes what counts."""
    log, keeper = log_of(tmp_path), handler()
    with log_context(log=log):
        keeper.handle(record("there"))
        shutil.rmtree(tmp_path / "run")
        keeper.handle(record("gone"))
        assert not (tmp_path / "run").exists()
        log.parents[1].mkdir(parents=True)
        log.parent.write_text("a file where the folder should be")
        keeper.handle(record("refused"))
    with log_context(log=Path("/dev/full")):
        keeper.handle(record("no space"))


def test_what_is_bound_to_the_process_holds_in_every_thread(tmp_path: Path) -> None:
    """The keeper of a lease is a thread of its own."""
    from threading import Thread

    log, keeper = log_of(tmp_path), handler()
    bind_log_context(recipe="digits", run="one", log=log)
    try:
        thread = Thread(target=keeper.handle, args=(record("from a thread"),))
        thread.start()
        thread.join()
    finally:
        bind_log_context(recipe=None, run=None, log=None)
    assert [(event["run"], event["message"]) for event in events(log)] == [("one", "from a thread")]
