"""The question behind a failed gate: may this run go on, although these checks failed?"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param

from voxmill.errors import GateRefused
from voxmill.orchestration.links import report_path
from voxmill.orchestration.markdown import table
from voxmill.orchestration.outcome import FailedForGood
from voxmill.orchestration.question import Answer, Question
from voxmill.orchestration.worker import FailedCheck

WAIVE = "Waive"
STOP = "Stop"
REASON = "reason"


def gate_question(recipe: str, run: str, stage: str, checks: Sequence[FailedCheck]) -> Question:
    """Asks whether a run may go on behind failed checks.

    Args:
        recipe: Name of the recipe.
        run: The run's own id.
        stage: The stage whose checks they are.
        checks: Those that nobody has waived.
    """
    names = ", ".join(check.name for check in checks)
    rows = [(check.name, _value(check), check.limit, check.advice) for check in checks]
    body = "\n".join(
        [
            f"Stage **{stage}** of run `{recipe}/{run}` has ended, and its gate is closed.",
            "",
            *table(("check", "value", "limit", "what to do"), rows),
            "",
            f"[Report of {stage}]({report_path(recipe, run, stage)})",
            "",
            f"**{WAIVE}** lets this run go on, and no other: your name and the reason are kept in",
            f"the recipe's memory. **{STOP}** ends the run here. A waiver without a reason is",
            "refused, and the question comes back.",
        ]
    )
    reason = Param(
        "",
        type="string",
        minLength=1,
        format="multiline",
        title="Reason",
        description="What makes this acceptable, or why the run stops here.",
    )
    return Question(
        subject=f"{recipe}: {stage} failed {names}",
        body=body,
        options=(WAIVE, STOP),
        last_lines=tuple(failed_line(check) for check in checks),
        params={REASON: reason},
    )


def failed_line(check: FailedCheck) -> str:
    """A failed check as the log has it."""
    return f"Failed check: {check.line()}"


def reason_of(answer: Answer) -> str:
    """The reason that a person gave; empty where there is none."""
    return str(answer.inputs.get(REASON) or "").strip()


def stopped(recipe: str, stage: str, checks: Sequence[str], answer: Answer) -> FailedForGood:
    """The failure that "Stop" asks for."""
    why = reason_of(answer)
    return FailedForGood(
        f"{answer.who} stopped the run of {recipe} behind {stage}{f': {why}' if why else '.'}\n"
        + "".join(f"  {line}\n" for line in checks)
        + f"Repair the cause and trigger a new run, or clear this task to be asked again.\n"
        f"(exit code {GateRefused.exit_code})",
        GateRefused.exit_code,
    )


def _value(check: FailedCheck) -> str:
    return f"{check.value:.4g}" if isinstance(check.value, float) else check.value
