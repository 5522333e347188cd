"""Asking a person from inside a task: the task leaves its slot and comes back with the answer.

Airflow shows the question under Required Actions and takes the answer through its REST API; it
calls `execute_complete` in a process of its own then, with `event`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from voxmill.errors import GateRefused
from voxmill.orchestration.callbacks import notifiers
from voxmill.orchestration.notice import Event
from voxmill.orchestration.outcome import FailedForGood

if TYPE_CHECKING:
    from airflow.sdk import Context, Param

logger = logging.getLogger(__name__)

_SECTION = "release."


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person reads, and what there is to choose and to fill in."""

    subject: str
    """One line."""
    body: str
    """Markdown."""
    options: tuple[str, ...]
    last_lines: tuple[str, ...] = ()
    """What the log says last before the task waits."""
    params: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person answered."""

    option: str
    inputs: Mapping[str, Any]
    who: str
    """The name that they logged in with, and where: `ana (Airflow)`."""
    when: str
    """UTC, ISO 8601."""


def ask(
    context: Context,
    question: Question,
    *,
    timeout: timedelta | None,
    keep: Mapping[str, Any],
    event: Event,
) -> NoReturn:
    """Asks and ends this process; `execute_complete` gets `event`, and `keep` by its names.

    Asked again in the same try, Airflow keeps the words of the first time and forgets the answer.

    Args:
        context: The task's.
        question: What to ask.
        timeout: How long an answer is waited for; None: for ever.
        keep: What the task has found out so far; plain values.
        event: What people are told.
    """
    from airflow.sdk.exceptions import TaskAwaitingInput
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    upsert_hitl_detail(
        ti_id=context["ti"].id,
        options=list(question.options),
        subject=question.subject,
        body=question.body,
        params={name: param.serialize() for name, param in question.params.items()},
    )
    context["task"].subject = question.subject  # what the notifier tells
    for tell in notifiers(event):
        tell(context)
    for line in question.last_lines:
        logger.warning("%s", line)
    raise TaskAwaitingInput(method_name="execute_complete", kwargs=dict(keep), timeout=timeout)


def read_answer(event: Mapping[str, Any], *, waited: timedelta | None) -> Answer:
    """The answer in what Airflow hands over.

    Args:
        event: As `execute_complete` gets it.
        waited: How long an answer was waited for; None: for ever.

    Raises:
        FailedForGood: Nobody answered in time, or Airflow could not take the answer.
    """
    if "error" in event:
        raise unanswered(event, waited=waited)
    user = event["responded_by_user"] or {}
    return Answer(
        option=event["chosen_options"][0] if event["chosen_options"] else "",
        inputs=event["params_input"] or {},
        who=f"{user.get('name') or user.get('id') or 'somebody'} (Airflow)",
        when=event["responded_at"].isoformat(timespec="seconds"),
    )


def unanswered(event: Mapping[str, Any], *, waited: timedelta | None) -> FailedForGood:
    """Why a question ended without an answer, and what to do."""
    why = f"Airflow says: {event['error']}"
    if event.get("error_type") == "timeout" and waited is not None:
        hours = waited.total_seconds() / 3600
        why = f"Nobody answered within {hours:g} hours (`release.answer_hours`)."
    return FailedForGood(
        f"{why} Clear this task in Airflow to be asked again; nothing is run twice for that.\n"
        f"(exit code {GateRefused.exit_code})",
        GateRefused.exit_code,
    )


def release_settings(conf: Mapping[str, Any], recipe_release: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's section `release`, and over it what this run's form says.

    Args:
        conf: Configuration of the DAG run, by `section.key`.
        recipe_release: The recipe's own section.
    """
    asked = {
        key.removeprefix(_SECTION): value for key, value in conf.items() if key.startswith(_SECTION)
    }
    return {**recipe_release, **asked}


def answer_timeout(release: Mapping[str, Any]) -> timedelta | None:
    """How long an answer is waited for; None: for ever.

    Args:
        release: As `release_settings` gives it.
    """
    hours = release.get("answer_hours")
    return None if hours is None else timedelta(hours=hours)
