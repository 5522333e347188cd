"""A stage's report.json as the office reads it: verdict, checks, and which files there must be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxmill.errors import DataError

REPORT_FILE = "report.json"


class ReportedCheck(BaseModel):
    """One check of a stage's gate."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float | str
    limit: str
    passed: bool
    help: str = ""

    def line(self) -> str:
        """Name, value, limit and what to do, in one line."""
        advice = f" {self.help}" if self.help else ""
        return f"{self.name}: {self.value}, limit: {self.limit}.{advice}"


class OutputFile(BaseModel):
    """One file that the stage wrote."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class StageReport(BaseModel):
    """The part of a report that decides what happens next; a report holds more than this."""

    model_config = ConfigDict(frozen=True)

    stage: str
    recipe: str
    verdict: Literal["passed", "failed", "not_applicable"]
    checks: tuple[ReportedCheck, ...] = ()
    outputs: dict[str, OutputFile] = Field(default_factory=dict)
    """By path relative to the stage's folder; report.json itself is not among them."""

    @property
    def failed_checks(self) -> tuple[ReportedCheck, ...]:
        """The checks that did not pass, in the report's order."""
        return tuple(check for check in self.checks if not check.passed)


def read_report(folder: Path) -> StageReport:
    """The report of a stage's output folder.

    Raises:
        DataError: There is none, or it is not a report.
    """
    path = folder / REPORT_FILE
    try:
        return StageReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"No {path}: the stage that fills this folder has not finished. Run it again."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{path} is no stage report: {where}: {first['msg']}. Run the stage again."
        ) from error


def check_output(folder: Path, *, recipe: str, stage: str) -> StageReport:
    """The report of a folder that a stage has just filled, held against the files beside it.

    Sizes are compared and not hashes: DVC hashes each file right afterwards.

    Raises:
        DataError: The report is missing, malformed, or another stage's; or a file that it lists is
            missing or has another size.
    """
    report = read_report(folder)
    if (report.recipe, report.stage) != (recipe, stage):
        raise DataError(
            f"{folder / REPORT_FILE} speaks of {report.stage} of {report.recipe}; expected {stage} "
            f"of {recipe}. Something else wrote into this folder: run the stage again."
        )
    for name, file in report.outputs.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != file.bytes:
            state = "is missing" if found is None else f"has {found} bytes"
            raise DataError(
                f"{path} {state}; the report says {file.bytes} bytes. "
                f"The output is incomplete: run {stage} again."
            )
    return report
