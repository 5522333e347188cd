"""DAGS: toy recipes whose events people are told of, and one whose source is watched.

Imported by a DAG file in a process of its own (see tests/unit/orchestration/test_alerts.py).
"""

from pathlib import Path

from fakes.worker import FakeWorker
from toys.toy_dags import bad_data, recipe
from voxmill.errors import DataError
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.worker import SourceNews


def news(look: int) -> SourceNews:
    """New content, the same again, a source that is gone twice, then a run has had it."""
    if look in {3, 4}:
        raise DataError("Source recordings: no such folder. Mount it.")
    return SourceNews(content="a", added=2, removed=0, changed=1, is_in_newest_run=look == 5)


WORKERS = {
    "fails": FakeWorker(bad_data),
    "releases": FakeWorker(),
    "on-a-gpu": FakeWorker(),
    "watched": FakeWorker(news=news),
}


def _dags(name: str) -> dict:
    entry = recipe(f"Toy: {name}", {"gpus": 1} if name == "on-a-gpu" else {})
    if name == "watched":
        entry["schedule"] = {"watch_source": True, "deadline_hours": 2.0}
    return build_dags({"recipes": {name: entry}}, Path(), worker=lambda _root: WORKERS[name])


DAGS = {dag_id: dag for name in WORKERS for dag_id, dag in _dags(name).items()}
