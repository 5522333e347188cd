"""The top row of *Training*: what a person sees in ten seconds."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from voxmill.exporting.dashboards import places
from voxmill.exporting.dashboards.expressions import ALERTS_OF_RUN, RUN, encoded
from voxmill.exporting.dashboards.frame import Tile
from voxmill.exporting.dashboards.panels import Look, Query, figure
from voxmill.exporting.dashboards.wording import (
    BAD,
    BUSY,
    CARE,
    GOOD,
    IDLE,
    RUN_CODES,
    between,
    error_rate_steps,
    run_words,
    steps,
    words,
)

_NONE = -1
"""Stands for "there is none", so that words and a colour can say so."""
_IS_THERE = f"max(voxmill_run_state{{{RUN}}})"
_TRAINING_SECONDS = (
    f"max(voxmill_train_eta_seconds{{{RUN}}} and on (recipe, run) "
    f'(voxmill_stage_state{{{RUN},stage="train",state="running"}} == 1)) or vector(0)'
)
_PENDING_SECONDS = (
    f"sum(voxmill_stage_usual_seconds{{{RUN}}} and on (recipe, run, stage) "
    f'(voxmill_stage_state{{{RUN},state="pending"}} == 1)) or vector(0)'
)
_LEFT_SECONDS = (
    f"(({_TRAINING_SECONDS}) + ({_PENDING_SECONDS})) and on () "
    f'(voxmill_run_state{{{RUN},state="running"}} == 1)'
)


def tiles() -> tuple[Tile, ...]:
    """Health and state, time left, progress, errors, backup, GPU."""
    panels = (
        _healthy(),
        _state(),
        _done_in(),
        _done_at(),
        _trained(),
        _error_rate(),
        _backup(),
        _gpu(),
    )
    return tuple(Tile(panel, 3, 4) for panel in panels)


def _healthy() -> stat.Panel:
    return figure(
        "Healthy?",
        "Alerts that fire for this run and, while it goes on, for its machine. The list below "
        "names them and leads to the runbook.",
        [Query(f"count({ALERTS_OF_RUN}) or (0 * {_IS_THERE})")],
        Look(
            unit="short",
            mappings=[words({0: ("yes", GOOD)}), between(1, None, "NO: see alerts", BAD)],
            thresholds=steps(GOOD, (1, BAD)),
            empty="unknown",
        ),
    )


def _state() -> stat.Panel:
    return figure(
        "Run",
        "State of the run. A click leads to its tasks in Airflow.",
        [Query(encoded("voxmill_run_state", RUN, RUN_CODES))],
        Look(
            unit="short",
            mappings=[run_words()],
            thresholds=steps(IDLE),
            links=[places.airflow_run()],
            empty="unknown",
        ),
    )


def _done_in() -> stat.Panel:
    return figure(
        "Done in",
        "Rest of the training at its mean pace, and the usual time of the stages to come.",
        [Query(_LEFT_SECONDS)],
        Look(unit="s", thresholds=steps(BUSY), decimals=0, empty="not running"),
    )


def _done_at() -> stat.Panel:
    return figure(
        "Done at",
        "The same as a time of day, in the time zone of this page.",
        [Query(f"(time() + ({_LEFT_SECONDS})) * 1000")],
        Look(unit="time:ddd HH:mm", thresholds=steps(BUSY), empty="not running"),
    )


def _trained() -> stat.Panel:
    return figure(
        "Trained",
        "Optimizer steps made, of those planned. It ends earlier where nothing improves any more.",
        [Query(f"voxmill_train_step{{{RUN}}} / voxmill_train_total_steps{{{RUN}}}")],
        Look(unit="percentunit", thresholds=steps(BUSY), decimals=0, low=0, high=1),
    )


def _error_rate() -> stat.Panel:
    return figure(
        "Validation WER",
        "Word error rate at the newest evaluation while training. 100 % is usual at the "
        "beginning; after warm-up it must fall. A click leads to the report of a finished run.",
        [Query(f'voxmill_wer_ratio{{{RUN},split="validation"}}')],
        Look(
            unit="percentunit",
            decimals=1,
            thresholds=error_rate_steps(),
            links=[places.report()],
            empty="not yet",
        ),
    )


def _backup() -> stat.Panel:
    verified = f"voxmill_backup_verified_timestamp_seconds{{{RUN}}}"
    return figure(
        "Backup verified",
        "Time since a copy elsewhere was last checked by its hashes.",
        [Query(f"(time() - max({verified})) or (0 * {_IS_THERE} + {_NONE})")],
        Look(
            unit="s",
            decimals=0,
            mappings=[words({_NONE: ("NO BACKUP", CARE)})],
            thresholds=steps(GOOD, (2 * 3600, CARE), (6 * 3600, BAD)),
            empty="unknown",
        ),
    )


def _gpu() -> stat.Panel:
    at_work = (
        "avg(avg_over_time(voxmill_gpu_utilisation_ratio[5m]) and on (instance) "
        f"voxmill_run_gpus{{{RUN}}} > 0)"
    )
    return figure(
        "GPU at work",
        "Mean use of this machine's GPUs over five minutes. Below 30 % the rent is wasted.",
        [Query(f"({at_work}) or (0 * {_IS_THERE} + {_NONE})")],
        Look(
            unit="percentunit",
            decimals=0,
            mappings=[words({_NONE: ("no GPU in use", IDLE)})],
            thresholds=steps(BAD, (0.3, CARE), (0.6, GOOD)),
            empty="unknown",
        ),
    )
