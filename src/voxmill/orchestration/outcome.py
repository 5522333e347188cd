"""What Airflow does about each exit code: fail at once, come back later, or use a retry.

64-70 need a person, so trying again would only repeat them. 75 (checkpointed and left) and 76
(GPU lost) are no failures: the task is put back and goes on from its checkpoint, and the retries
stay for what may pass by itself, such as a lock, a network or an out-of-memory kill. That it does
not go on for ever is `runs.returns`' business: in vain too often, it raises what fails at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
)

from voxmill.errors import VoxmillError
from voxmill.observability.redaction import redact

FAIL_AT_ONCE = frozenset(range(64, 71))
COME_BACK_AFTER: dict[int, timedelta] = {
    75: timedelta(seconds=30),  # the host that asked it to leave may still be shutting down
    76: timedelta(minutes=5),  # a GPU that fell off the bus comes back with a reset, if at all
}


class FailedForGood(AirflowFailException):  # type: ignore[misc]
    """A task that fails at once: its exit code asks for a person."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class FailedForNow(AirflowException):  # type: ignore[misc]
    """A task that may use a retry: what stopped it may pass by itself."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def airflow_exception(error: VoxmillError, *, now: datetime) -> AirflowException:
    """The exception that makes Airflow do what the error's exit code asks for.

    Args:
        error: What the worker raised.
        now: The present, with a time zone; a reschedule counts from here.
    """
    if error.exit_code in COME_BACK_AFTER:
        return AirflowRescheduleException(now + COME_BACK_AFTER[error.exit_code])
    message = f"{redact(str(error))}\n(exit code {error.exit_code})"
    if error.exit_code in FAIL_AT_ONCE:
        return FailedForGood(message, error.exit_code)
    return FailedForNow(message, error.exit_code)
