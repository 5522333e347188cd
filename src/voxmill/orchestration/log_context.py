"""Which run and which request a log line belongs to, as fields of the line."""

from __future__ import annotations

import os


def log_as(*, recipe: str, run: str, stage: str, attempt: int) -> None:
    """Binds `recipe`, `run`, `stage` and `request` to every line that this task logs from here on.

    Airflow writes task logs as JSON lines with whatever is bound, lines of the standard library's
    loggers included, so that a search through logs finds a run's lines by field. The request is
    this try of this task; the stage's process gets it too. Airflow masks the secrets of its own
    connections; here it learns those of the environment.

    Args:
        recipe: Name of the recipe.
        run: Airflow's id of the run; the run's own id is made from it.
        stage: Id of the task.
        attempt: Number of the task's try.
    """
    from airflow.sdk.log import mask_secret
    from structlog.contextvars import bind_contextvars

    from voxmill.observability.log_context import bind_log_context
    from voxmill.observability.logs import keep_run_log, redact_foreign_handlers
    from voxmill.observability.redaction import secret_values
    from voxmill.runs.run import slug

    run_id = slug(run)
    request = f"{run_id}.{stage}.{attempt}"
    bind_contextvars(recipe=recipe, run=run_id, stage=stage, request=request)
    bind_log_context(recipe=recipe, run=run_id, stage=stage, request=request)
    for value in secret_values(os.environ):
        mask_secret(value)
    redact_foreign_handlers()
    keep_run_log()
