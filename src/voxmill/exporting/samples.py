"""From what was read to what Prometheus is told: name, labels and value of each series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from voxmill.exporting.fleet import RecipeView
from voxmill.exporting.journal_tail import SeriesKey
from voxmill.exporting.run_view import RunView, StageView
from voxmill.observability.catalogue import (
    CATALOGUE,
    UncataloguedMetricError,
    check_labels,
    check_names,
)
from voxmill.observability.labels import RUN_STATES, STAGE_STATES
from voxmill.observability.metric import NAMED

_CHECKPOINT_STEP: SeriesKey = ("voxmill_checkpoint_step", ())


class Sample(NamedTuple):
    """One series with its present value; labels in the order of `Metric.exported_labels`."""

    name: str
    labels: tuple[str, ...]
    value: float


def run_samples(view: RunView, usual_seconds: Mapping[str, float]) -> Iterator[Sample]:
    """All series of a run.

    Args:
        view: The run.
        usual_seconds: Median time by stage of its recipe.
    """
    of = (view.recipe, view.id)
    for state in RUN_STATES:
        yield Sample("voxmill_run_state", (*of, state), float(view.state == state))
    yield Sample("voxmill_run_start_timestamp_seconds", of, view.opened)
    if view.ended is not None:
        yield Sample("voxmill_run_end_timestamp_seconds", of, view.ended)
    yield from _gpus(view, of)
    for stage in view.stages:
        yield from _stage(stage, of, usual_seconds.get(stage.name))
    yield from _journal(view, of)
    yield from _dataset(view, of)
    yield from _backup(view, of)


def recipe_samples(recipes: Mapping[str, RecipeView]) -> Iterator[Sample]:
    """What all runs of each recipe amount to."""
    for recipe, view in recipes.items():
        for state in RUN_STATES:
            runs = float(view.runs.get(state, 0))
            yield Sample("voxmill_recipe_runs", (recipe, state), runs)
        yield Sample("voxmill_recipe_last_run_timestamp_seconds", (recipe,), view.last_opened)


def _gpus(view: RunView, of: tuple[str, str]) -> Iterator[Sample]:
    running = sum(stage.gpus for stage in view.stages if stage.state == "running")
    held = sum(stage.gpus * (stage.seconds or 0.0) for stage in view.stages)
    yield Sample("voxmill_run_gpus", of, float(running))
    yield Sample("voxmill_run_gpu_seconds", of, held)


def _stage(stage: StageView, of: tuple[str, str], usual: float | None) -> Iterator[Sample]:
    mine = (*of, stage.name)
    for state in STAGE_STATES:
        yield Sample("voxmill_stage_state", (*mine, state), float(stage.state == state))
    values = {
        "start_timestamp_seconds": stage.started,
        "seconds": stage.seconds,
        "usual_seconds": usual,
        "attempts": float(stage.attempts),
        "peak_memory_bytes": stage.peak_memory_bytes,
    }
    for name, value in values.items():
        if value is not None:
            yield Sample(f"voxmill_stage_{name}", mine, float(value))
    for verdict, count in stage.checks.items():
        yield Sample("voxmill_stage_checks", (*mine, verdict), float(count))


def _journal(view: RunView, of: tuple[str, str]) -> Iterator[Sample]:
    journal = view.journal
    for (name, labels), newest in journal.newest.items():
        if journal_series_allowed((name, labels)):
            own = dict(labels)
            values = tuple(own[label] for label in CATALOGUE[name].labels)
            yield Sample(name, (*of, *values), newest.value)
    if journal.last_line_time is not None:
        yield Sample("voxmill_journal_last_line_timestamp_seconds", of, journal.last_line_time)
    yield Sample("voxmill_journal_broken_lines_total", of, float(journal.broken_lines))
    yield Sample("voxmill_train_restarts", of, float(journal.restarts))
    yield Sample("voxmill_train_lost_steps_total", of, float(journal.lost_steps))
    checkpoint = journal.newest.get(_CHECKPOINT_STEP)
    if checkpoint is not None:
        yield Sample("voxmill_checkpoint_timestamp_seconds", of, checkpoint.time)


def _dataset(view: RunView, of: tuple[str, str]) -> Iterator[Sample]:
    tables: Iterable[tuple[str, Mapping[str, float]]] = (
        ("voxmill_dataset_utterances", view.dataset.utterances),
        ("voxmill_dataset_seconds", view.dataset.seconds),
        ("voxmill_dataset_rejected_files", view.dataset.rejected),
    )
    for name, table in tables:
        for key, value in table.items():
            if NAMED.fullmatch(key):
                yield Sample(name, (*of, key), float(value))


def _backup(view: RunView, of: tuple[str, str]) -> Iterator[Sample]:
    if view.backup is None:
        return
    values = {
        "voxmill_backup_verified_timestamp_seconds": view.backup.verified,
        "voxmill_backup_bytes": view.backup.bytes,
        "voxmill_backup_failures_total": view.backup.failures,
    }
    for name, value in values.items():
        if value is not None:
            yield Sample(name, of, value)


_allowed: dict[SeriesKey, bool] = {}


def journal_series_allowed(key: SeriesKey) -> bool:
    """Whether the catalogue has this series; an older or newer voxmill may have written others."""
    if key not in _allowed:
        name, labels = key
        try:
            check_names([name])
            check_labels(name, dict(labels))
        except UncataloguedMetricError:
            _allowed[key] = False
        else:
            _allowed[key] = True
    return _allowed[key]
