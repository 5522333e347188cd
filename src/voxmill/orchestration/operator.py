"""What all tasks of a DAG have in common, and two of them: open the run, run a stage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.sdk import BaseOperator
from pydantic import JsonValue

from voxmill.errors import CheckpointedAndLeft, VoxmillError
from voxmill.orchestration.dag_settings import last_resort
from voxmill.orchestration.form import ALLOW_DIRTY, chosen
from voxmill.orchestration.gate import WAIVE, failed_line, gate_question, reason_of, stopped
from voxmill.orchestration.links import LINKS, offer_links
from voxmill.orchestration.log_context import log_as
from voxmill.orchestration.needs import needs_of
from voxmill.orchestration.notice import Event
from voxmill.orchestration.outcome import COME_BACK_AFTER, FailedForGood, airflow_exception
from voxmill.orchestration.question import answer_timeout, ask, read_answer, release_settings
from voxmill.orchestration.worker import FailedCheck, RunOrder, StageSummary, Worker

if TYPE_CHECKING:
    from airflow.sdk import Context

logger = logging.getLogger(__name__)
T = TypeVar("T")

FAILED_CHECKS = "failed_checks"
"""XCom of a stage: its failed checks."""


class RunTask(BaseOperator):  # type: ignore[misc]
    """A recipe, a worker, and exit codes made Airflow's.

    Attributes:
        attended: Whether a person can be asked; False in a DAG run in one process, which has no
            Required Actions.

    Args:
        recipe: Name of the recipe; also the DAG's id.
        worker: Makes the worker. Called inside the task only, so that a DAG file is read without
            DVC and git.
        form_defaults: The form's values where nobody changes anything.
        release: The recipe's section `release`: whether a person is asked, and how long.
    """

    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        recipe: str,
        worker: Callable[[], Worker],
        form_defaults: Mapping[str, JsonValue],
        release: Mapping[str, JsonValue],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.recipe = recipe
        self.release = dict(release)
        self.attended = True
        self.names_run_in_log = True
        self.form_defaults = dict(form_defaults)
        self.make_worker = worker
        self._at_work: Worker | None = None

    def pre_execute(self, context: Context) -> None:
        """Makes every line that the task logs from here on say which run it belongs to."""
        if self.names_run_in_log:
            attempt = context["ti"].try_number
            log_as(recipe=self.recipe, run=context["run_id"], stage=self.task_id, attempt=attempt)
        if self.operator_extra_links:
            offer_links(self, context["ti"])

    def on_kill(self) -> None:
        """Asks the running stage to save and leave; it has its `grace_seconds` for that.

        Airflow gives this process five seconds; the job has its own process session or
        container, so it finishes its checkpoint without us and the next try goes on from there.
        """
        if self._at_work is not None:
            self._at_work.stop_stage()

    def _carry_out(self, work: Callable[[Worker], T]) -> T:
        # Not forgotten afterwards: Airflow calls on_kill only after a timeout has left execute.
        self._at_work = worker = self.make_worker()
        try:
            return work(worker)
        except VoxmillError as error:
            if error.exit_code in COME_BACK_AFTER:  # Airflow does not log why it reschedules
                logger.warning("%s Airflow starts this task again by itself.", error)
            raise airflow_exception(error, now=datetime.now(UTC)) from None
        except KeyboardInterrupt:
            self.on_kill()
            raise FailedForGood(
                f"Stopped by hand in task {self.task_id!r} of {self.recipe}; the job was asked to "
                f"save and leave. Go on with `voxmill resume`; `voxmill runs` lists the ids.",
                CheckpointedAndLeft.exit_code,
            ) from None

    def _order(self, context: Context) -> RunOrder:
        conf = context["dag_run"].conf or {}
        return RunOrder(
            recipe=self.recipe,
            airflow_run_id=context["run_id"],
            overrides=chosen(conf, self.form_defaults),
            allow_dirty=bool(conf.get(ALLOW_DIRTY, False)),
        )

    def _waits(self, context: Context) -> timedelta | None:
        """How long this run waits for an answer; None: for ever."""
        return answer_timeout(release_settings(context["dag_run"].conf or {}, self.release))


class OpenRun(RunTask):
    """Opens the run with what the form changed."""

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Opens the run; gives its id and its overrides as XCom."""
        order = self._order(context)
        run = self._carry_out(lambda worker: worker.open(order))
        logger.info("Run %s of %s is open; overrides: %s", run, self.recipe, order.overrides)
        return {"run": run, "overrides": dict(order.overrides)}


class RunStage(RunTask):
    """Brings one stage up to date.

    Args:
        stage: Name of the stage, as dvc.yaml has it; also the task's id.
        stage_meta: Its `meta` in dvc.yaml.
        recipe_resources: The recipe's section `resources`.
    """

    def __init__(
        self,
        *,
        stage: str,
        stage_meta: Mapping[str, JsonValue],
        recipe_resources: Mapping[str, JsonValue],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stage = stage
        self.stage_meta = dict(stage_meta)
        self.recipe_resources = dict(recipe_resources)

    def pre_execute(self, context: Context) -> None:
        """Takes the time limit of this run, which its form may have changed."""
        super().pre_execute(context)
        needs = needs_of(self.stage_meta, self.recipe_resources, context["dag_run"].conf)
        self.execution_timeout = last_resort(needs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Runs the stage; gives its summary as XCom, and names failed checks last in the log.

        Failed checks are the XCom `failed_checks` as well, which is there while a person is asked.
        """
        order = self._order(context)
        summary = self._carry_out(lambda worker: worker.run_stage(order, self.stage))
        logger.info("%s", _outcome(summary))
        result = {
            **asdict(summary),
            "failed_checks": [asdict(one) for one in summary.failed_checks],
        }
        if summary.failed_checks:
            context["ti"].xcom_push(key=FAILED_CHECKS, value=result["failed_checks"])
        if summary.open_checks and self.attended:
            self._ask(context, result)
        for check in summary.failed_checks:
            logger.warning("%s", failed_line(check))
        return result

    def execute_complete(
        self, context: Context, event: dict[str, Any], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Does what a person answered about failed checks: waives them and goes on, or stops.

        Args:
            context: The task's.
            event: The answer.
            result: What `execute` would have given.
        """
        answer = read_answer(event, waited=self._waits(context))
        checks = _open_checks(result)
        if answer.option != WAIVE:
            raise stopped(self.recipe, self.stage, [check.line() for check in checks], answer)
        why = reason_of(answer)
        if not why:
            logger.error("A waiver needs its reason. %s gave none, so I ask again.", answer.who)
            self._ask(context, result)
        order = self._order(context)
        names = [check.name for check in checks]
        self._carry_out(lambda worker: worker.waive(order, names, why, answer.who))
        for check in checks:
            logger.warning("%s waived %s: %s", answer.who, check.name, why)
        return {**result, "waived_by": answer.who, "why": why}

    def _ask(self, context: Context, result: dict[str, Any]) -> NoReturn:
        question = gate_question(self.recipe, result["run"], self.stage, _open_checks(result))
        ask(
            context,
            question,
            timeout=self._waits(context),
            keep={"result": result},
            event=Event.GATE,
        )


def _outcome(summary: StageSummary) -> str:
    how = "ran" if summary.executed else "was up to date"
    return f"Stage {summary.stage} {how} in {summary.seconds:.1f} s: {summary.verdict}"


def _open_checks(result: Mapping[str, Any]) -> tuple[FailedCheck, ...]:
    checks = (FailedCheck(**check) for check in result["failed_checks"])
    return tuple(check for check in checks if not check.waived)
