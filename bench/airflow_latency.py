"""How long a person waits after Trigger, and what a worker weighs while its job runs.

    python bench/airflow_latency.py --repeat 5

A real `voxmill airflow` on SQLite for a fresh clone of this project, nothing else to do; the
recipe `digits`, triggered through the REST API, each time with another seed:

queued     from Trigger until Airflow starts the first task's process
open       that task: recipe validated, source listed, run opened
first      from there to the first line that the first stage's own job writes
wait       all of it, from Trigger to that line

Memory is looked at while that job runs: `task`, the process that waits for the job, and
`supervisor`, Airflow's that watches over it, each as resident set and as its proportional share
(pages that it has in common with the scheduler's other processes divided among them).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from toys.airflow_server import RunningServer, running_server, wait  # noqa: E402
from toys.real_project import fresh_clone  # noqa: E402
from voxmill.runs.run import slug  # noqa: E402

FIRST = "ingest"
UTTERANCES = 1500  # long enough to look at
PATIENCE_SECONDS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as name:
        project = fresh_clone(Path(name) / "project")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with running_server(project, Path(name) / "home", environ={"PATH": path}) as server:
            rounds = [measure(server, seed) for seed in range(given.repeat)]
    for key in rounds[0]:
        values = [each[key] for each in rounds]
        print(f"{key}: median {statistics.median(values):.1f}, most {max(values):.1f}")
    result = {"rounds": rounds, "cpus": os.cpu_count(), "load_at_end": os.getloadavg()[0]}
    print(json.dumps(result))


def measure(server: RunningServer, seed: int) -> dict[str, float]:
    """Seconds of one run's beginning, and MB of its worker."""
    api = server.api()
    triggered = time.time()
    run = api.trigger("digits", {"source.seed": seed, "source.utterances": UTTERANCES})
    spoken = wait(lambda: first_line(server, run.id), PATIENCE_SECONDS, "the first line", 0.1)
    memory = worker_megabytes(server, task_of(server, run.id, FIRST)["id"])
    opened = task_of(server, run.id, "open")
    began, ended = (moment(opened[key]) for key in ("start_date", "end_date"))
    path = f"/api/v2/dags/digits/dagRuns/{run.id}"
    api._asked("PATCH", path, json={"state": "failed"})
    wait(lambda: idle(server), PATIENCE_SECONDS, "the job to leave")
    return {
        "queued s": began - triggered,
        "open s": ended - began,
        "first s": spoken - ended,
        "wait s": spoken - triggered,
        **memory,
    }


def first_line(server: RunningServer, run: str) -> float | None:
    """When Airflow's log of the first stage had the first line that the stage's own job wrote."""
    folder = server.voxmill_home / "runs" / "digits" / slug(run) / "work" / "digits" / "logs"
    said = [line for file in folder.glob(f"{FIRST}.*.log") for line in file.read_text().split("\n")]
    if not any(said):
        return None
    first = next(line for line in said if line)
    for entry in server.api().log("digits", run, FIRST):
        if first in entry["event"]:
            return moment(entry["timestamp"])
    return None


def task_of(server: RunningServer, run: str, task: str) -> dict:
    path = f"/api/v2/dags/digits/dagRuns/{run}/taskInstances/{task}"
    return server.api()._asked("GET", path)


def idle(server: RunningServer) -> bool | None:
    """Whether no stage runs any more."""
    jobs = [p for p in psutil.process_iter(["cmdline"]) if _is_stage(p, server.voxmill_home)]
    return None if jobs else True


def _is_stage(process: psutil.Process, home: Path) -> bool:
    words = process.info["cmdline"] or []
    return "stage" in words and any(str(home) in word for word in words)


def worker_megabytes(server: RunningServer, task_id: str) -> dict[str, float]:
    """Resident and proportional memory of the task's process and of its supervisor."""
    scheduler = psutil.Process(server.components["scheduler"].pid)
    found: dict[str, float] = {}
    for process in scheduler.children(recursive=True):
        try:
            title, memory = " ".join(process.cmdline()).strip(), process.memory_full_info()
        except psutil.NoSuchProcess:  # git, say, that has done its work
            continue
        if not title.endswith(task_id):
            continue
        role = "supervisor" if "LocalExecutor" in title else "task"
        found[f"{role} resident MB"] = memory.rss / 1e6
        found[f"{role} proportional MB"] = memory.pss / 1e6
    return dict(sorted(found.items()))


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
