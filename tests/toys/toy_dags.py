"""DAGS: one toy recipe for each way a stage can end; their stages run nothing.

Imported by a DAG file in a process of its own (see tests/unit/orchestration/conftest.py).
"""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from fakes.worker import FakeWorker, passed
from voxmill.errors import CheckpointedAndLeft, DataError, GateRefused, GpuLost
from voxmill.orchestration import dag as builder
from voxmill.orchestration import dag_settings, outcome

# The real pauses are there for machines to recover; a toy has nothing to recover from.
builder.RETRY_DELAY = timedelta(0)
dag_settings.MARGIN = timedelta(0)
outcome.COME_BACK_AFTER = dict.fromkeys(outcome.COME_BACK_AFTER, timedelta(0))

FORM = [
    {
        "key": "train.max_steps",
        "section": "train",
        "schema": {"type": ["integer", "null"], "default": None, "minimum": 1},
    },
    {
        "key": "train.seed",
        "section": "train",
        "schema": {"type": "integer", "default": 1, "description": "Seeds everything."},
    },
]


def _stage(*upstream: str) -> dict:
    meta = {"timeout_hours": 1.0, "grace_seconds": 0.0}
    return {"desc": "A toy.", "upstream": list(upstream), "meta": meta}


def recipe(title: str, resources: dict) -> dict:
    """A recipe of three stages, as pipeline.json has it."""
    return {
        "title": title,
        "family": "ctc",
        "description": "A toy recipe.",
        "stages": {"ingest": _stage(), "train": _stage("ingest"), "evaluate": _stage("train")},
        "form": FORM,
        "release": {"auto": True},
        "schedule": {},
        "resources": resources,
    }


def bad_data(stage, attempt):
    if stage == "train":
        raise DataError("Recording r17: 0 samples. Remove it.")
    return passed(stage, attempt)


def leaves_four_times(stage, attempt):
    """More often than there are retries, so that a success proves that none was used up."""
    if stage == "train" and attempt <= 4:
        raise (CheckpointedAndLeft if attempt % 2 else GpuLost)("Saved step 200.")
    return passed(stage, attempt)


def bug_once(stage, attempt):
    if stage == "train" and attempt == 1:
        raise RuntimeError("a lock")
    return passed(stage, attempt)


def refused(stage, attempt):
    if stage == "train":
        raise GateRefused(
            "Stage ingest of toy: 1 check failed.\n  ingest.share: 0.5, at most 0.1",
            stage="ingest",
            checks=["ingest.share"],
        )
    return passed(stage, attempt)


def bug_always(stage, attempt):
    if stage == "train":
        raise RuntimeError("no network")
    return passed(stage, attempt)


def told_to_stop(stage, attempt):
    """Airflow's runner sends SIGTERM to the task's process; here that is our own."""
    if stage == "train" and attempt == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        raise CheckpointedAndLeft("Saved step 200.")
    return passed(stage, attempt)


def interrupted(stage, attempt):
    if stage == "train":
        raise KeyboardInterrupt
    return passed(stage, attempt)


def too_slow_once(stage, attempt):
    if stage == "train" and attempt == 1:
        time.sleep(20)
    return passed(stage, attempt)


def takes_three_seconds(stage, attempt):
    if stage == "train":
        time.sleep(3)
    return passed(stage, attempt)


WORKERS = {
    "succeeds": FakeWorker(),
    "bad-data": FakeWorker(bad_data),
    "leaves": FakeWorker(leaves_four_times),
    "bug-once": FakeWorker(bug_once),
    "bug-always": FakeWorker(bug_always),
    "told-to-stop": FakeWorker(told_to_stop),
    "interrupted": FakeWorker(interrupted),
    "too-slow": FakeWorker(too_slow_once),
    "longer-this-time": FakeWorker(takes_three_seconds),
    "refused": FakeWorker(refused),
    "wrong-value": FakeWorker(),
}


def _dags(name: str, worker: FakeWorker) -> dict:
    seconds = 1 if name in {"too-slow", "longer-this-time"} else None
    needs = {"timeout_hours": seconds and seconds / 3600}
    snapshot = {"recipes": {name: recipe(f"Toy: {name}", needs)}}
    return builder.build_dags(snapshot, Path(), worker=lambda _root: worker)


DAGS = {dag_id: dag for name in WORKERS for dag_id, dag in _dags(name, WORKERS[name]).items()}
