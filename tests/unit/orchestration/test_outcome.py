"""Exit codes as Airflow understands them."""

from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
)

from voxmill import errors
from voxmill.orchestration.outcome import airflow_exception

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def every_error(base=errors.VoxmillError):
    """The tree of errors, so that a new class is tested the moment it is there."""
    for one in base.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one
            yield from every_error(one)


def made(kind):
    if kind is errors.RecipeError:
        return kind("digits", [errors.FieldProblem("train.seed", "-1", "at least 0")])
    if kind is errors.GateRefused:
        return kind("share: 0.5", stage="audit", checks=["audit.share"])
    return kind("what, which one")


@pytest.mark.parametrize("kind", list(every_error()), ids=lambda kind: kind.__name__)
def test_each_exit_code_has_its_answer(kind):
    """Rule: 64-70 fail at once, 75 and 76 come back later, and no class is forgotten."""
    answer = airflow_exception(made(kind), now=NOW)
    if kind.exit_code in (75, 76):
        assert isinstance(answer, AirflowRescheduleException)
        assert answer.reschedule_date > NOW
    else:
        assert 64 <= kind.exit_code <= 70
        assert isinstance(answer, AirflowFailException)
        assert str(made(kind)) in str(answer)


def test_a_failure_without_a_code_of_its_own_uses_retries():
    """Rule: a signal or an unknown end may pass by itself."""
    answer = airflow_exception(errors.VoxmillError("Killed by signal 9."), now=NOW)
    assert isinstance(answer, AirflowException)
    assert not isinstance(answer, AirflowFailException | AirflowRescheduleException)
