"""A line of somebody's log, read back: JSON as text for people, text as JSON for machines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from voxmill.observability.log_context import log_fields
from voxmill.observability.logs import LAST_WORD, iso_time, writes_json
from voxmill.observability.redaction import redact

_TEXT = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) "
    r"(?P<message>.*)",
    re.DOTALL,
)
_NEEDED = ("time", "level", "message")


def event_of(line: str) -> dict[str, Any] | None:
    """The event that a line of JSON tells; None where it is any other line."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(event, dict) and all(isinstance(event.get(key), str) for key in _NEEDED)
    return event if whole else None


def as_text(line: str) -> str:
    """The line as it would stand on a terminal; several where it tells an exception.

    Args:
        line: Of a log, JSON or not.
    """
    event = event_of(line)
    if event is None:
        return line
    if event.get("logger") == LAST_WORD and "exit_code" in event:
        return f"voxmill: {event['message']}"
    exception = f"\n{event['exception']}" if event.get("exception") else ""
    return f"{_local(event['time'])} {event['level']} {event['message']}{exception}"


def as_json(line: str) -> str:
    """The line as one JSON object, with what it belongs to, and without secrets.

    Args:
        line: Of a log, JSON or not.
    """
    event = event_of(line) or _event_of_text(line)
    fields = {key: value for key, value in log_fields().items() if key not in event}
    return json.dumps(_redacted({**event, **fields}), ensure_ascii=False)


def pass_on(line: str) -> None:
    """Writes a job's line to standard output in the form that this process writes its own in."""
    said = as_json(line) if writes_json() else redact(as_text(line))
    sys.stdout.write(said + "\n")
    sys.stdout.flush()


def _event_of_text(line: str) -> dict[str, Any]:
    found = _TEXT.fullmatch(line)
    event = {"time": iso_time(datetime.now(UTC)), "level": "INFO", "logger": "job", "message": line}
    if found is not None:
        stamp = datetime.strptime(found["time"], "%Y-%m-%d %H:%M:%S,%f").astimezone()
        event |= {**found.groupdict(), "time": iso_time(stamp)}
    elif line.startswith("voxmill: "):
        event |= {"level": "ERROR", "message": line.removeprefix("voxmill: ")}
    return event


def _redacted(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _local(time: str) -> str:
    try:
        local = datetime.fromisoformat(time).astimezone()
    except ValueError:
        return time
    return f"{local:%Y-%m-%d %H:%M:%S},{local.microsecond // 1000:03d}"
