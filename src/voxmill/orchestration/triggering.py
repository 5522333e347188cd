"""Starts a recipe's DAG on a running Airflow and follows its tasks to their end, in plain lines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from voxmill.errors import EngineMissing, UsageError
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction, TaskState
from voxmill.orchestration.airflow_api import AirflowApi, AirflowRefused

FOLLOW_SECONDS = 2.0
ABSENT_SECONDS = 300.0
"""How long a server may be away, for a restart say, before following it gives up."""
ANY_FAILURE = 1
_EXIT_CODE = re.compile(r"\(exit code (\d+)\)")
_SILENT = frozenset({"", "scheduled", "queued"})
"""States that say no more than that it is not a task's turn yet."""


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a followed run ended."""

    state: str
    exit_code: int
    """0, or the exit code of the first task that failed by itself."""
    task: str = ""
    reason: str = ""
    """What that task raised."""


def start_run(
    api: AirflowApi,
    recipe: str,
    conf: Mapping[str, object],
    *,
    run_id: str | None = None,
    unpause: bool = False,
) -> DagRunState:
    """Starts a run of the recipe's DAG.

    Args:
        api: The Airflow that is to run it.
        recipe: Name of the recipe, which is the DAG's id.
        conf: Values by `section.key`.
        run_id: Id of the DAG run; by default Airflow makes one.
        unpause: Switch a paused DAG on, too.

    Raises:
        UsageError: There is no such DAG, it is paused, or a value is refused.
        EngineMissing: No Airflow answers.
    """
    found = api.dags().get(recipe)
    if found is None:
        raise UsageError(_no_dag(api, recipe))
    if found["is_paused"]:
        if not unpause:
            raise UsageError(
                f"DAG {recipe!r} is paused, so that its run would wait for ever. Switch it on at "
                f"{api.page(recipe)}, or with --unpause."
            )
        api.pause(recipe, paused=False)
    try:
        return api.trigger(recipe, conf, run=run_id)
    except AirflowRefused as error:
        raise _in_words(error, recipe, run_id) from error


class Follower:
    """Says what happens in a run until it is over.

    Args:
        api: The Airflow that runs it.
        run: The run.
        say: Takes a line.
        pause_seconds: From one look to the next.
    """

    def __init__(
        self,
        api: AirflowApi,
        run: DagRunState,
        say: Callable[[str], None],
        *,
        pause_seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._api = api
        self._run = run
        self._say = say
        self._pause_seconds = pause_seconds
        self._known: dict[tuple[str, int], tuple[str, int]] = {}
        self._asked: set[tuple[str, int, bool]] = set()

    def follow(self) -> RunEnd:
        """Follows the run.

        Raises:
            EngineMissing: The server has been away for too long; the run may go on all the same.
        """
        seen = time.monotonic()
        away = False
        while True:
            try:
                run = self._look()
            except EngineMissing as error:
                if time.monotonic() - seen > ABSENT_SECONDS:
                    raise
                if not away:
                    self._say(f"{error} Waiting for it to come back.")
                away = True
            else:
                seen, away = time.monotonic(), False
                if run.over:
                    return self._end(run)
            time.sleep(self._pause_seconds)

    def _look(self) -> DagRunState:
        run = self._api.dag_run(self._run.dag, self._run.id)  # first: whoever ends later is seen
        for task in self._api.tasks(self._run.dag, self._run.id):
            key, now = (task.task, task.map_index), (task.state, task.try_number)
            if self._known.get(key) != now:
                self._known[key] = now
                if task.state not in _SILENT:
                    self._say(_line(task))
        for action in self._api.required_actions(self._run.dag, self._run.id):
            key_of_question = (action.task, action.map_index, action.answered)
            if key_of_question not in self._asked:
                self._asked.add(key_of_question)
                self._say(self._question(action))
        return run

    def _question(self, action: RequiredAction) -> str:
        if action.answered:
            by = f" by {action.answered_by}" if action.answered_by else ""
            return f"{action.task}: answered{by}: {', '.join(action.chosen)}"
        options = " or ".join(action.options)
        where = f"{self._api.page(action.dag, action.run)}/required_actions"
        return f"{action.task} asks you: {action.subject} ({options}). Answer at {where}"

    def _end(self, run: DagRunState) -> RunEnd:
        failed = [one for one in self._api.tasks(run.dag, run.id) if one.state == "failed"]
        if run.state == "success":
            return RunEnd(state=run.state, exit_code=0)
        if not failed:
            return RunEnd(state=run.state, exit_code=ANY_FAILURE)
        reason = self._reason(failed[0])
        found = _EXIT_CODE.findall(reason)
        return RunEnd(
            state=run.state,
            exit_code=int(found[-1]) if found else ANY_FAILURE,
            task=failed[0].task,
            reason=reason,
        )

    def _reason(self, task: TaskState) -> str:
        """What the task's last try raised, out of its log; empty where the log has gone."""
        try:
            lines = self._api.log(
                self._run.dag,
                self._run.id,
                task.task,
                try_number=task.try_number,
                map_index=task.map_index,
            )
        except AirflowRefused:
            return ""
        raised = [one["error_detail"][0] for one in lines if one.get("error_detail")]
        return str(raised[-1].get("exc_value") or raised[-1].get("exc_type")) if raised else ""


def _line(task: TaskState) -> str:
    name = task.task if task.map_index < 0 else f"{task.task}[{task.map_index}]"
    tries = f", try {task.try_number}" if task.try_number > 1 else ""
    over = task.state in {"success", "failed"} and task.seconds is not None
    seconds = f" in {task.seconds:.1f} s" if over else ""
    return f"{name}: {task.state.replace('_', ' ')}{seconds}{tries}"


def _no_dag(api: AirflowApi, recipe: str) -> str:
    there = ", ".join(sorted(api.dags())) or "none"
    said = f"Airflow at {api.url} has no DAG {recipe!r}; there are: {there}."
    if broken := api.import_errors():
        file, trace = next(iter(broken.items()))
        last = trace.strip().splitlines()[-1] if trace.strip() else "no reason given"
        return f"{said} It cannot read {file}: {last}"
    return (
        f"{said} A recipe becomes a DAG with `make graph`; Airflow looks at it again within half "
        f"a minute."
    )


def _in_words(error: AirflowRefused, recipe: str, run_id: str | None) -> AirflowRefused:
    message = str(error)
    if error.status in {400, 422}:
        message = f"Airflow does not start {recipe}: {error.detail}"
    elif error.status == 409:
        message = f"{recipe} has a run {run_id!r} already. Take another id, or none at all."
    return AirflowRefused(message, status=error.status, detail=error.detail)
