"""The end of a DAG: whether a person is asked, the approval, the release."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BranchMixIn

from voxmill.orchestration.callbacks import notifiers
from voxmill.orchestration.notice import Event
from voxmill.orchestration.operator import RunTask
from voxmill.orchestration.preview_page import preview_page, preview_subject
from voxmill.orchestration.question import read_answer, release_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

logger = logging.getLogger(__name__)

APPROVE = "approve"
RELEASE = "release"
DECISION = "decision"
ANSWER = "answer"
"""XCom of the approval: who answered what, and when."""


class DecideRelease(RunTask, BranchMixIn):  # type: ignore[misc]
    """Branches to the approval, or past it where there is nobody or nothing to ask."""

    inherits_from_skipmixin = True

    def execute(self, context: Context) -> Any:
        """Decides; the task that comes next, and why, is the XCom `decision`."""
        following, reason = RELEASE, "nobody can be asked in a run in one process"
        if self.attended:
            following, reason = self._decide(context)
        logger.info("Next: %s, because %s", following, reason)
        context["ti"].xcom_push(key=DECISION, value={"next": following, "reason": reason})
        return self.do_branch(context, following)

    def _decide(self, context: Context) -> tuple[str, str]:
        """The task that comes next, and why."""
        if release_settings(context["dag_run"].conf or {}, self.release).get("auto"):
            return RELEASE, "`release.auto` lets the gates decide alone"
        order = self._order(context)
        preview = self._carry_out(lambda worker: worker.preview(order))
        if preview.unchanged:
            return RELEASE, f"nothing is new: {preview.version} has the same outputs"
        return APPROVE, f"{preview.version} needs a person's approval"


class ApproveRelease(RunTask, ApprovalOperator):  # type: ignore[misc]
    """Asks a person whether this run becomes the champion; Reject leaves the release skipped."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="", notifiers=notifiers(Event.APPROVAL), **kwargs)

    def execute(self, context: Context) -> Any:
        """Puts the figures of this version beside the champion's, and waits."""
        order = self._order(context)
        preview = self._carry_out(lambda worker: worker.preview(order))
        self.subject = preview_subject(self.recipe, preview)
        self.body = preview_page(self.recipe, preview)
        self.response_timeout = self._waits(context)
        logger.info("%s\n%s", self.subject, self.body)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Goes on to the release, or skips it; the answer is the XCom `answer`."""
        answer = read_answer(event, waited=self._waits(context))
        logger.info("%s by %s, %s", answer.option, answer.who, answer.when)
        found = {"option": answer.option, "who": answer.who, "when": answer.when}
        context["ti"].xcom_push(key=ANSWER, value=found)
        super().execute_complete(context, event)
        return found


class ReleaseRun(RunTask):
    """Releases the run: tag, version, champion."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Releases; gives tag, figures and who approved as XCom."""
        order = self._order(context)
        who = _approved_by(context["ti"].xcom_pull(task_ids=APPROVE, key=ANSWER))
        summary = self._carry_out(lambda worker: worker.release(order, approved_by=who))
        words = "Released as %s" if summary.fresh else "Already released as %s: same outputs"
        logger.info(words, summary.tag)
        logger.info("Approved by: %s", summary.approved_by or "nobody was asked")
        return asdict(summary)


def _approved_by(answer: Mapping[str, str] | None) -> str:
    return answer["who"] if answer and answer["option"] == ApprovalOperator.APPROVE else ""
