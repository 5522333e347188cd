"""What people are told about a run: one event in words, with links and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voxmill.observability.redaction import redact

_LONGEST_REASON = 300


class Event(StrEnum):
    """What people are told of."""

    FAILED = "run failed"
    SYNC_FAILED = "source cannot be read"
    GATE = "gate waits for an answer"
    APPROVAL = "approval asked for"
    RELEASED = "released"
    LATE = "deadline missed"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One event of one run."""

    event: Event
    recipe: str
    run: str
    """Airflow's id of the run, as the UI shows it."""
    reason: str
    """One line; see `one_line`."""
    stage: str = ""
    """The task that it happened in; empty where it concerns the whole run."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""
    links: tuple[tuple[str, str], ...] = ()
    """Name and URL."""

    @property
    def subject(self) -> str:
        """`digits: run failed at train`."""
        where = f" at {self.stage}" if self.stage and self.event is Event.FAILED else ""
        return f"{self.recipe}: {self.event.value}{where}"

    @property
    def body(self) -> str:
        """Everything but the subject, a line each."""
        lines = [
            self.reason,
            f"Run: {self.run}" if self.run else "",
            f"What to do: {self.advice}" if self.advice else "",
            *(f"{name}: {url}" for name, url in self.links),
        ]
        return "\n".join(line for line in lines if line)


def one_line(text: str) -> str:
    """The first line of a message that says something, shortened and without secrets."""
    first = next((line.strip() for line in redact(text).splitlines() if line.strip()), "")
    return first if len(first) <= _LONGEST_REASON else first[: _LONGEST_REASON - 1] + "…"


def advice_for(exit_code: int) -> str:
    """What a person does about a failed task.

    Args:
        exit_code: As in `voxmill.errors`; any other for what has no code of its own.
    """
    return _ADVICE.get(exit_code, _AGAIN)


_AGAIN = (
    "read the task's log; when the cause is gone, clear the task in Airflow: it goes on where it "
    "stopped"
)
_ADVICE = {
    64: "correct the recipe or the form and trigger a new run",
    65: "look at the data that the log names, correct the source, then trigger a new run",
    66: "look at the failed checks; waive them with `voxmill waive`, or correct the data",
    69: "bring back what the machine lacks, then clear the task: it goes on where it stopped",
    70: "look at the curves and the log; change the recipe and trigger a new run",
}
