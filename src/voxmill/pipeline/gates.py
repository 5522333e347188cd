"""Gates: a stage refuses to start behind a failed check that nobody waived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from voxmill.errors import DataError, GateRefused
from voxmill.pipeline.report import ReportedCheck, StageReport

WAIVERS_FILE = "waivers.jsonl"


class Waiver(BaseModel):
    """Somebody's word that a failed check does not stand in the way of one run."""

    model_config = ConfigDict(frozen=True)

    run: str
    """Id of the run."""
    check: str
    """Name of the check with its stage: `evaluate.wer[test]`."""
    who: str
    why: str
    when: str


@dataclass(frozen=True, kw_only=True)
class FailedGate:
    """A stage's checks that failed and that nobody waived."""

    stage: str
    checks: tuple[ReportedCheck, ...]


def read_waivers(memory: Path) -> tuple[Waiver, ...]:
    """The waivers of a recipe, oldest first; none where the file is not there.

    Args:
        memory: The folder `memory/<recipe>`.

    Raises:
        DataError: A line is no waiver.
    """
    path = memory / WAIVERS_FILE
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    waivers = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            waivers.append(Waiver.model_validate_json(line))
        except ValidationError as error:
            raise DataError(
                f"{path}, line {number}: not a waiver: {line!r}. Expected run, check, who, why and "
                "when. Take the line out and waive again with `voxmill waive`."
            ) from error
    return tuple(waivers)


def failed_gate(
    report: StageReport, waivers: Iterable[Waiver], *, run_id: str
) -> FailedGate | None:
    """What stands in the way behind a report; None where the way is free.

    Args:
        report: An earlier stage's report.
        waivers: Those of the recipe; only those of this run count.
        run_id: The run that wants to go on.
    """
    if report.verdict != "failed":
        return None
    waived = {waiver.check for waiver in waivers if waiver.run == run_id}
    checks = tuple(
        check
        for check in report.failed_checks
        if not {check.name, f"{report.stage}.{check.name}"} & waived
    )
    return FailedGate(stage=report.stage, checks=checks) if checks else None


def refuse_behind(
    reports: Iterable[StageReport], waivers: Iterable[Waiver], *, run_id: str, wanted: str
) -> None:
    """Lets the way be free, or tells what stands in it.

    Args:
        reports: Of the stages that the wanted one reads.
        waivers: Those of the recipe.
        run_id: The run that wants to go on.
        wanted: What wants to start, such as `prepare of digits`.

    Raises:
        GateRefused: A report's verdict is `failed` and a failed check of it is not waived.
    """
    known = tuple(waivers)
    gates = [gate for report in reports if (gate := failed_gate(report, known, run_id=run_id))]
    if gates:
        raise GateRefused(
            _refusal(gates, run_id=run_id, wanted=wanted),
            stage=gates[0].stage,
            checks=[full_name(gate.stage, check) for gate in gates for check in gate.checks],
        )


def full_name(stage: str, check: ReportedCheck) -> str:
    """The check's name with its stage, as a waiver has it: `evaluate.wer[test]`."""
    return check.name if check.name.startswith(f"{stage}.") else f"{stage}.{check.name}"


def _refusal(gates: list[FailedGate], *, run_id: str, wanted: str) -> str:
    lines = [f"{wanted} may not start: earlier checks failed."]
    for gate in gates:
        lines += [f"  {gate.stage}: {check.line()}" for check in gate.checks]
    lines.append("Repair the cause and run that stage again, or accept it by name:")
    for gate in gates:
        lines += [
            f'  voxmill waive {run_id} "{full_name(gate.stage, check)}" --why "..."'
            for check in gate.checks
        ]
    return "\n".join(lines)
