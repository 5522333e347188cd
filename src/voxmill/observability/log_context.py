"""What a log line belongs to: recipe, run, stage, try, step and request.

There are two layers. What holds for the whole process (a stage's process is one try of one stage)
is bound once and holds in every thread; what holds for a while is a context of its own over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict, Unpack

RUN_VARIABLE = "VOXMILL_RUN"
"""Id of the run, from a launcher to its stage."""
REQUEST_VARIABLE = "VOXMILL_REQUEST"
"""Id of the request, from whoever asked to whoever does it."""
FIELDS = ("recipe", "run", "stage", "attempt", "step", "request")
"""The fields of a line, in their order."""


class LogFields(TypedDict, total=False):
    """What may be bound; None takes a field away."""

    recipe: str | None
    run: str | None
    """Id of the run, without its recipe."""
    stage: str | None
    attempt: int | None
    step: int | None
    request: str | None
    """The same in the worker's lines and in those of the stage that it started."""
    log: Path | None
    """The run's log file; not shown in lines."""


_process: dict[str, object] = {}
_here: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))


def bind_log_context(**fields: Unpack[LogFields]) -> None:
    """Binds fields for the rest of this process, in every thread of it.

    Args:
        fields: See `LogFields`.
    """
    _process.update(fields)


@contextmanager
def log_context(**fields: Unpack[LogFields]) -> Iterator[None]:
    """Binds fields for as long as the block lasts.

    Args:
        fields: See `LogFields`.
    """
    token = _here.set({**_here.get(), **fields})
    try:
        yield
    finally:
        _here.reset(token)


def log_fields() -> dict[str, object]:
    """The fields that a line written here and now carries."""
    bound = {**_process, **_here.get()}
    return {name: bound[name] for name in FIELDS if bound.get(name) is not None}


def place() -> str:
    """`digits/20261121-0345 train`: what holds here for a while; empty where nothing does."""
    here = _here.get()
    run = "/".join(str(here[name]) for name in ("recipe", "run") if here.get(name))
    return " ".join(part for part in (run, str(here.get("stage") or "")) if part)


def run_log() -> Path | None:
    """The log file of the run that is at work here; None outside of runs."""
    log = {**_process, **_here.get()}.get("log")
    return log if isinstance(log, Path) else None


def request_id() -> str:
    """Id of the request that is carried out; a fresh one where nobody gave one."""
    found = {**_process, **_here.get()}.get("request")
    if not found:
        found = os.environ.get(REQUEST_VARIABLE) or os.urandom(6).hex()
        bind_log_context(request=str(found))
    return str(found)
