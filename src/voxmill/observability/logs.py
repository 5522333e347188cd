"""How a process writes its log: a line of text for people, or one JSON object for each event."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, cast

from voxmill.errors import UsageError
from voxmill.observability.log_context import (
    RUN_VARIABLE,
    bind_log_context,
    log_fields,
    place,
    request_id,
)
from voxmill.observability.redaction import RedactingFilter, redact
from voxmill.observability.run_log import RunLogHandler

LogMode = Literal["text", "json"]
MODE_VARIABLE = "VOXMILL_LOG"
LAST_WORD = "voxmill"
"""Logger of the one message that a failing command ends with."""
_EXTRA = ("step", "exit_code")
"""Fields that a single line may bring along (`extra=`)."""


class TextFormatter(logging.Formatter):
    """`2026-11-21 03:45:12,123 INFO message [digits/one train]`, in this machine's time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """The line up to an exception's text."""
        where = place()
        return super().formatMessage(record) + (f" [{where}]" if where else "")


class JsonFormatter(logging.Formatter):
    """One JSON object: time (UTC), level, logger, message, what it belongs to, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        import json

        event: dict[str, object] = {
            "time": iso_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **log_fields(),
        }
        event |= {name: record.__dict__[name] for name in _EXTRA if name in record.__dict__}
        if record.exc_info:
            event["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False, default=str)


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Ours, among the handlers of the root logger."""


def iso_time(time: datetime) -> str:
    """`2026-11-21T03:45:12.123Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log_mode(environ: Mapping[str, str]) -> LogMode:
    """What `VOXMILL_LOG` asks for; text where it says nothing.

    Raises:
        UsageError: It says something else.
    """
    word = environ.get(MODE_VARIABLE) or "text"
    if word not in {"text", "json"}:
        raise UsageError(f"{MODE_VARIABLE}={word}: expected `json`, `text` or nothing.")
    return cast("LogMode", word)


def set_up_logging(mode: LogMode, environ: Mapping[str, str]) -> None:
    """Makes this process write its log to standard error, and to its run's log once it has one.

    Args:
        mode: The form of the lines on standard error.
        environ: Names the run and the request where a launcher started this process.
    """
    handler = _StandardError()
    handler.setFormatter(JsonFormatter() if mode == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _StandardError):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    keep_run_log()
    logging.captureWarnings(mode == "json")
    sys.excepthook = _say_bug
    threading.excepthook = _say_thread_bug
    bind_log_context(run=environ.get(RUN_VARIABLE) or None)
    request_id()


def keep_run_log() -> None:
    """Makes the root logger keep the run's log, whoever else has set logging up."""
    root = logging.getLogger()
    if not any(isinstance(handler, RunLogHandler) for handler in root.handlers):
        handler = RunLogHandler()
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)


def redact_foreign_handlers() -> None:
    """Makes handlers that somebody else has set up, such as Airflow's, see no secrets."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, RedactingFilter) for one in handler.filters):
            handler.addFilter(RedactingFilter())


def writes_json() -> bool:
    """Whether this process was set up to write JSON."""
    return any(
        isinstance(handler, _StandardError) and isinstance(handler.formatter, JsonFormatter)
        for handler in logging.getLogger().handlers
    )


def say_last(message: str, exit_code: int) -> None:
    """The one message that a command ends with: `voxmill: …` on standard error, or an event.

    Args:
        message: What happened and what to do.
        exit_code: Which the command ends with.
    """
    record = logging.getLogger(LAST_WORD).makeRecord(
        LAST_WORD, logging.ERROR, "", 0, message, (), None, extra={"exit_code": exit_code}
    )
    _say(record, f"voxmill: {message}\n")


def _say(record: logging.LogRecord, text: str) -> None:
    """The record to standard error as JSON, or the text; to the run's log in either case."""
    if not writes_json():
        sys.stderr.write(redact(text))
    for handler in logging.getLogger().handlers:
        wanted = (RunLogHandler, _StandardError) if writes_json() else (RunLogHandler,)
        if isinstance(handler, wanted):
            handler.handle(record)


def _say_bug(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    from traceback import format_exception

    record = logging.getLogger(LAST_WORD).makeRecord(
        *(LAST_WORD, logging.CRITICAL, "", 0, "%s: %s", (kind.__name__, error)),
        (kind, error, traceback),
    )
    _say(record, "".join(format_exception(kind, error, traceback)))


def _say_thread_bug(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None and caught.exc_type is not SystemExit:
        _say_bug(caught.exc_type, caught.exc_value, caught.exc_traceback)
