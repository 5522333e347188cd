"""`sync_<recipe>`: looks at a recipe's source every 15 minutes; an Asset event when it has news.

The training DAG is scheduled on that Asset, so an event is a run. This DAG therefore decides when a
run is due, and keeps nothing of its own for that: it compares what the source holds with what the
recipe's newest run was opened with, whoever opened it. Content that no run has had yet stays news
at each look until a run has it, so whatever comes too early (`min_hours_between_runs`) is not lost:
one run starts later, when the time is over, with everything that has come until then.

The newest event of the Asset, which Airflow keeps, tells what is already on its way to a run. The
same content is announced again only after `AGAIN_AFTER`: the run may have failed before it was
opened, or the training DAG may have been paused, for which Airflow drops events.

No news ends as skipped, and a skipped task emits nothing; a source that cannot be read fails the
task, which emits nothing either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from voxmill.errors import VoxmillError
from voxmill.orchestration.callbacks import tell_sync_failed
from voxmill.orchestration.dag_settings import listing_settings
from voxmill.orchestration.outcome import airflow_exception
from voxmill.orchestration.pod_settings import PodSettings
from voxmill.orchestration.schedule import source_asset, watches_source
from voxmill.orchestration.worker import SourceNews, Worker

if TYPE_CHECKING:
    from airflow.sdk import Context

logger = logging.getLogger(__name__)

EVERY_15_MINUTES = "*/15 * * * *"
AGAIN_AFTER = timedelta(days=1)
LIMIT = timedelta(hours=6)
"""A first listing hashes every file; on later ones only what is new."""
CONTENT = "content"


@dataclass(frozen=True, kw_only=True)
class Announced:
    """The newest event of a source's Asset."""

    content: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a run is due, and why or why not."""

    due: bool
    reason: str


def decide(
    news: SourceNews, announced: Announced | None, min_hours: float, now: datetime
) -> Decision:
    """Whether the source's content asks for a run now.

    Args:
        news: What the source holds.
        announced: The newest event; None where there was none.
        min_hours: The recipe's `min_hours_between_runs`.
        now: The present, with a time zone.
    """
    if news.is_in_newest_run:
        return Decision(due=False, reason=f"run {news.newest_run} has had this content")
    same = announced is not None and announced.content == news.content
    if announced is not None and same and now - announced.at < AGAIN_AFTER:
        when = f"{announced.at:%Y-%m-%d %H:%M} UTC"
        return Decision(due=False, reason=f"announced at {when}; its run is on the way")
    begun = [news.newest_run_began, announced.at if announced else None]
    last = max((moment for moment in begun if moment is not None), default=None)
    if last is not None and now - last < timedelta(hours=min_hours):
        due = last + timedelta(hours=min_hours)
        return Decision(
            due=False,
            reason=f"new content waits until {due:%Y-%m-%d %H:%M} UTC, "
            f"{min_hours:g} hours after the last run began",
        )
    return Decision(due=True, reason="no run has had this content")


def sync_dags(
    snapshot: Mapping[str, Any],
    make_worker: Callable[[], Worker],
    pods: PodSettings | None = None,
) -> dict[str, DAG]:
    """One DAG for each recipe that asks for its source to be looked at, by id.

    Args:
        snapshot: What pipeline.json says.
        make_worker: Makes whoever lists the source; called inside the task only.
        pods: What the cluster has; None where tasks are no pods.
    """
    watching = {
        recipe: entry
        for recipe, entry in sorted(snapshot["recipes"].items())
        if watches_source(entry["schedule"])
    }
    return {
        f"sync_{recipe}": _sync_dag(recipe, entry, make_worker, pods)
        for recipe, entry in watching.items()
    }


class SyncSource(BaseOperator):  # type: ignore[misc]
    """Lists the source into memory; succeeds, with an event, only where a run is due.

    Args:
        recipe: Name of the recipe.
        min_hours: The recipe's `min_hours_between_runs`.
        worker: Makes the worker.
    """

    def __init__(
        self, *, recipe: str, min_hours: float, worker: Callable[[], Worker], **kwargs: Any
    ) -> None:
        # An inlet as well: that is how a task may read the events that its Asset has had.
        asset = source_asset(recipe)
        super().__init__(inlets=[asset], outlets=[asset], **kwargs)
        self.recipe = recipe
        self.min_hours = min_hours
        self.make_worker = worker

    def execute(self, context: Context) -> dict[str, Any]:
        """Lists and decides; gives what changed as XCom."""
        now = datetime.now(UTC)
        try:
            news = self.make_worker().sync(self.recipe)
        except VoxmillError as error:
            raise airflow_exception(error, now=now) from None
        asset = self.outlets[0]
        decision = decide(news, _announced(context["inlet_events"][asset]), self.min_hours, now)
        counts = {"added": news.added, "removed": news.removed, "changed": news.changed}
        logger.info("Source of %s: %s against memory: %s", self.recipe, counts, decision.reason)
        if not decision.due:
            raise AirflowSkipException(f"No run is due: {decision.reason}")
        context["outlet_events"][asset].extra = {CONTENT: news.content, **counts}
        return {CONTENT: news.content, **counts}


def _announced(events: Any) -> Announced | None:
    newest = events.ascending(False).limit(1)  # noqa: FBT003 -- its only form
    for event in newest:
        return Announced(content=str(event.extra.get(CONTENT, "")), at=event.timestamp)
    return None


def _sync_dag(
    recipe: str,
    entry: Mapping[str, Any],
    make_worker: Callable[[], Worker],
    pods: PodSettings | None,
) -> DAG:
    dag = DAG(
        dag_id=f"sync_{recipe}",
        description=f"Looks whether the source of {recipe} holds anything new",
        doc_md=__doc__,
        tags=["voxmill", "sync"],
        schedule=EVERY_15_MINUTES,
        catchup=False,
        max_active_runs=1,
    )
    SyncSource(
        task_id="sync",
        doc_md=f"Lists the source of {recipe}; skipped where no run is due.",
        recipe=recipe,
        min_hours=entry["schedule"].get("min_hours_between_runs", 24.0),
        worker=make_worker,
        dag=dag,
        retries=1,  # a network or an origin that does not answer; the next look comes anyway
        retry_delay=timedelta(minutes=1),
        execution_timeout=LIMIT,
        on_failure_callback=[tell_sync_failed],
        **listing_settings(entry, pods),
    )
    return dag
