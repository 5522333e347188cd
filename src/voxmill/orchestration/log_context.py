"""Which run a log line belongs to, as fields of the line."""

from __future__ import annotations


def log_as(*, recipe: str, run: str, stage: str) -> None:
    """Binds `recipe`, `run` and `stage` to every line that this task logs from here on.

    Airflow writes task logs as JSON lines with whatever is bound, lines of the standard library's
    loggers included, so that a search through logs finds a run's lines by field.

    Args:
        recipe: Name of the recipe.
        run: Airflow's id of the run; the run's own id is made from it.
        stage: Id of the task.
    """
    from structlog.contextvars import bind_contextvars

    from voxmill.runs.run import slug

    bind_contextvars(recipe=recipe, run=slug(run), stage=stage)
