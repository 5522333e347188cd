"""Which run a log line belongs to, as fields of the line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logged_as(*, recipe: str, run: str, stage: str) -> Iterator[None]:
    """Binds `recipe`, `run` and `stage` to every line that is logged meanwhile.

    Airflow writes task logs as JSON lines with whatever is bound, lines of the standard library's
    loggers included, so that a log search finds a run's lines by field.
    """
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(recipe=recipe, run=run, stage=stage):
        yield
