"""A project whose runs, releases, GPU and Airflow make every catalogued metric exist."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from toys.monitored_run import MonitoredRun, release
from toys.toy_project import STAGES, ToyProject
from voxmill.observability.labels import ARTEFACTS, DECODERS, GOAL_FIGURES
from voxmill.observability.metric import Metric
from voxmill.observability.metrics.foreign import (
    AIRFLOW_COUNTERS,
    AIRFLOW_GAUGES,
    AIRFLOW_TIMERS,
)
from voxmill.observability.metrics.journal import JOURNAL

GPU = [{"utilisation": 93}]
SPLITS = {
    "train": {"utterances": 2400, "hours": 1.2},
    "validation": {"utterances": 300, "hours": 0.15},
    "test": {"utterances": 300, "hours": 0.15},
}
_VALUES = {
    "voxmill_train_total_steps": 1000.0,
    "voxmill_train_warmup_steps": 100.0,
    "voxmill_train_checkpoint_steps": 500.0,
    "voxmill_train_data_wait_ratio": 0.02,
    "voxmill_blank_ratio": 0.6,
    "voxmill_frame_entropy_ratio": 0.1,
    "voxmill_infinite_losses": 0.0,
    "voxmill_train_watched_value": 0.11,
    "voxmill_train_previous_watched_value": 0.12,
    "voxmill_train_best_value": 0.11,
    "voxmill_train_watched_floor_value": 0.05,
    "voxmill_train_collapsed_evaluations": 0.0,
    "voxmill_train_regressed_evaluations": 0.0,
    "voxmill_train_stopped": 1.0,
    "voxmill_train_resumed_step": 0.0,
}


def write_everything(toy: ToyProject, nvml: Path) -> MonitoredRun:
    """Two releases, a challenger, a failed run and one that trains now, which is given back.

    Args:
        toy: The project to fill.
        nvml: What the fake NVML is to tell, see fakes/nvml.
    """
    nvml.write_text(json.dumps(GPU))
    release(toy, "v0.1.0", wer=0.08)
    release(toy, "v0.2.0", wer=0.06)
    for number in range(3):
        run = MonitoredRun.open(toy, f"past-{number}", seconds_ago=7200 - number)
        _finish(run)
    failed = MonitoredRun.open(toy, "failed", seconds_ago=7000)
    failed.done("ingest")
    failed.end("audit", "failed", exit_code=65)
    run = MonitoredRun.open(toy, "now", seconds_ago=1200, gpus=1)
    for stage in STAGES[: STAGES.index("train")]:
        run.done(stage, figures=_figures(stage))
    run.begin("train", seconds_ago=600)
    run.backup(verified_seconds_ago=60)
    write_training(run, step=400)
    return run


def write_training(run: MonitoredRun, *, step: int, attempt: int = 1) -> None:
    """A line for each set of labels, with every metric that journals know."""
    resumed = {"voxmill_train_resumed_step": 0.0}
    if step == 0 or not (run.work / "journal" / f"{attempt}.jsonl").exists():
        run.journal(resumed, step=0, attempt=attempt)
    for metric in JOURNAL:
        if metric.name in resumed:
            continue
        for labels in _label_sets(metric.labels):
            value = float(step) if metric.name.endswith("_step") else _VALUES.get(metric.name, 0.3)
            run.journal({metric.name: value}, step=step, labels=labels, attempt=attempt)


def airflow_lines() -> Iterator[str]:
    """A StatsD line for each metric of Airflow that is passed on."""
    tables = (("c", AIRFLOW_COUNTERS), ("g", AIRFLOW_GAUGES), ("ms", AIRFLOW_TIMERS))
    for kind, metrics in tables:
        for metric in metrics:
            if metric.name != "airflow_dagrun_duration_seconds":
                value = 0 if metric.name == "airflow_dag_processing_import_errors" else 1
                yield f"airflow.{_statsd_name(metric)}{_tags(metric.labels)}:{value}|{kind}"
    yield "airflow.dagrun.duration.success,dag_id=digits:1500|ms"


def _finish(run: MonitoredRun) -> None:
    for stage in STAGES:
        run.done(stage, figures=_figures(stage))
    figures = {
        "test": {
            artefact: {"wer": 0.05, "cer": 0.02, "real_time_factor": 0.02} for artefact in ARTEFACTS
        },
        "sizes": dict.fromkeys(ARTEFACTS, 4_000_000),
    }
    out = run.folder / "artifacts" / run.recipe / "evaluate"
    (out / "metrics.json").write_text(json.dumps(figures))


def _figures(stage: str) -> dict[str, object]:
    if stage == "prepare":
        return dict(SPLITS)
    return {"reasons": {"too-short": 3, "clipped": 1}} if stage == "audit" else {}


def _label_sets(labels: Iterable[str]) -> list[dict[str, str]]:
    choices = {
        "split": ("validation", "test"), "artefact": ARTEFACTS, "stage": ("train",),
        "decoder": DECODERS, "reason": ("stuck",), "figure": GOAL_FIGURES,
    }  # fmt: skip
    sets: list[dict[str, str]] = [{}]
    for label in labels:
        sets = [{**one, label: value} for one in sets for value in choices[label]]
    return sets


def _statsd_name(metric: Metric) -> str:
    name = metric.name.removeprefix("airflow_").removesuffix("_total")
    return name.removesuffix("_seconds") if metric.unit == "seconds" else name


def _tags(labels: Iterable[str]) -> str:
    values = {
        "dag_id": "digits", "task_id": "train", "state": "success", "queue": "default",
        "pool": "gpu",
    }  # fmt: skip
    names = {"pool": "pool_name"}
    return "".join(f",{names.get(label, label)}={values[label]}" for label in labels)
