"""Runs of toy recipes on a real server, looked at through its API and the machine's processes."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psutil

from toys.airflow_server import RunningServer, wait
from toys.scenarios import Scenarios
from voxmill.launchers.processes import ProcessId, identify, session_members
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction
from voxmill.orchestration.airflow_api import AirflowRefused
from voxmill.runs.run import slug

PATIENCE_SECONDS = 420
READING_SECONDS = 3


@dataclass
class PlayedRuns:
    """A server on which every recipe has begun its run."""

    server: RunningServer
    toys: Scenarios
    runs: dict[str, DagRunState] = field(default_factory=dict)

    def tasks(self, recipe: str) -> dict[str, dict]:
        """What Airflow says of each task of the recipe's run."""
        path = f"/api/v2/dags/{recipe}/dagRuns/{self.runs[recipe].id}/taskInstances"
        return {one["task_id"]: one for one in self.server.api()._every(path, "task_instances")}

    def until(self, recipe: str, task: str, *states: str) -> dict:
        """The task when it is in one of those states."""

        def there() -> dict | None:
            found = self.tasks(recipe)[task]
            return found if found["state"] in states else None

        return wait(there, PATIENCE_SECONDS, f"{task} of {recipe} to be {states}")

    def launched(self, recipe: str, stage: str, count: int = 1) -> None:
        """Waits until a stage has been started so often."""

        def often() -> bool | None:
            return True if self.toys.launches(recipe, stage) >= count else None

        wait(often, PATIENCE_SECONDS, f"{count} launches of {stage} of {recipe}")

    def question(self, recipe: str) -> RequiredAction:
        """What the recipe's run asks a person, who takes a moment to read it.

        An answer in the very seconds of the question finds the scheduler unaware that the task
        waits: it takes the task for lost, and a further try asks again.
        """
        asked = self.server.wait_for_action(self.runs[recipe], timeout_seconds=PATIENCE_SECONDS)
        asker = self.tasks(recipe)[asked.task]["id"]

        def left() -> bool | None:
            return None if _processes(self, asker) else True

        wait(left, 60, f"{asked.task} of {recipe} to leave its slot")
        time.sleep(READING_SECONDS)
        return asked

    def over(self, recipe: str) -> DagRunState:
        """The recipe's run when it is over."""
        return self.server.wait_for_run(self.runs[recipe], timeout_seconds=PATIENCE_SECONDS)

    def log(self, recipe: str, task: str, try_number: int = 1) -> list[str]:
        """What a task said and what it raised: a line each, with all that Airflow keeps of it."""
        api, run = self.server.api(), self.runs[recipe].id
        lines = api.log(recipe, run, task, try_number=try_number)
        return [json.dumps(line, ensure_ascii=False) for line in lines]

    def abandon(self, recipe: str) -> None:
        """Ends a run of which everything has been seen, for the good of those that go on."""
        path = f"/api/v2/dags/{recipe}/dagRuns/{self.runs[recipe].id}"

        def ended() -> bool | None:
            try:
                self.server.api()._asked("PATCH", path, json={"state": "failed"})
            except AirflowRefused as refusal:
                if refusal.status != 500:  # SQLite was busy, and says so at once
                    raise
                return None
            return True

        wait(ended, 30, f"the run of {recipe} to be ended")

    def get(self, path: str, user: str = "", **headers: str) -> httpx.Response:
        """A page of the server, for somebody who is logged in or for nobody."""
        if user:
            headers["Authorization"] = f"Bearer {self.server.api(user).token()}"
        return httpx.get(self.server.url + path, headers=headers, trust_env=False)


def run_id(run: DagRunState) -> str:
    """Voxmill's id of Airflow's run."""
    return slug(run.id)


def asked_again(runs: PlayedRuns, recipe: str) -> RequiredAction | None:
    """The question, once it waits for an answer again after one that was not good enough."""
    run = runs.runs[recipe]
    errors = [line for line in runs.log(recipe, "audit") if "needs its reason" in line]
    asked = runs.server.api().required_actions(recipe, run.id)
    return next((one for one in asked if errors and not one.answered), None)


def task_process(runs: PlayedRuns, recipe: str, task: str) -> psutil.Process:
    """The process of Airflow that carries out a task, beside the one that watches over it."""
    wanted = runs.tasks(recipe)[task]["id"]
    found = _processes(runs, wanted)
    [process] = [title for title in found if title.endswith(f"worker -- {wanted}")]
    return found[process]


def _processes(runs: PlayedRuns, task_id: str) -> dict[str, psutil.Process]:
    """Airflow's processes for a task, by title, which ends with the task's own id."""
    found = {}
    for member in session_members(runs.server.components["scheduler"]):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(member.pid)
            title = " ".join(process.cmdline()).strip()
            if title.endswith(task_id):
                found[title] = process
    return found


def job_process(runs: PlayedRuns, recipe: str) -> ProcessId:
    """The process of the recipe's running stage."""
    [file] = runs.server.voxmill_home.glob(f"runs/{recipe}/*/work/**/jobs/ingest.json")
    process = identify(json.loads(file.read_text())["child_pid"])
    assert process is not None
    assert process.alive
    return process
