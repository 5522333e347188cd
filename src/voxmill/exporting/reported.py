"""What a run's other files say: reports, waivers, the backup's state."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, JsonValue

from voxmill.exporting.run_view import BackupView, DatasetView
from voxmill.pipeline.gates import Waiver
from voxmill.pipeline.report import StageReport

_SECONDS_PER_HOUR = 3600.0


class FullReport(StageReport):
    """A report with the figures that are served."""

    figures: dict[str, JsonValue] = Field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_bytes: int = 0


def parse_report(content: bytes) -> FullReport:
    """A stage's report.json, without the list of its files.

    Raises:
        ValueError: It is none.
    """
    values: dict[str, Any] = json.loads(content)
    return FullReport.model_validate({**values, "outputs": {}})


def parse_waivers(content: bytes) -> tuple[Waiver, ...]:
    """A recipe's waivers.jsonl.

    Raises:
        ValueError: A line is none.
    """
    lines = content.decode("utf-8").splitlines()
    return tuple(Waiver.model_validate_json(line) for line in lines if line.strip())


def parse_backup(content: bytes) -> BackupView:
    """The backup's state.json.

    Raises:
        ValueError: It is no mapping of numbers.
    """
    values: dict[str, Any] = json.loads(content)
    known = {name: values.get(name) for name in ("verified", "bytes", "failures")}
    return BackupView(**{n: None if v is None else float(v) for n, v in known.items()})


def verdicts(report: FullReport, waived: Collection[str]) -> Mapping[str, int]:
    """Number of a report's checks by verdict.

    Args:
        report: A stage's.
        waived: Checks that somebody waived for this run, with their stage or without.
    """
    counts: Counter[str] = Counter({"passed": 0, "failed": 0, "waived": 0})
    for check in report.checks:
        names = {check.name, f"{report.stage}.{check.name}"}
        counts["passed" if check.passed else "waived" if names & set(waived) else "failed"] += 1
    return dict(counts)


def dataset(prepare: FullReport | None, audit: FullReport | None) -> DatasetView:
    """Utterances and speech by split, and what was left out and why.

    Args:
        prepare: Its report; its figures have an entry with `utterances` and `hours` a split.
        audit: Its report; its figures have `reasons`.
    """
    figures = prepare.figures if prepare else {}
    splits = {
        name: amount
        for name, amount in figures.items()
        if isinstance(amount, dict) and {"utterances", "hours"} <= amount.keys()
    }
    reasons = audit.figures.get("reasons") if audit else None
    return DatasetView(
        utterances={name: int(_number(amount["utterances"])) for name, amount in splits.items()},
        seconds={name: _number(a["hours"]) * _SECONDS_PER_HOUR for name, a in splits.items()},
        rejected={k: int(_number(v)) for k, v in reasons.items()}
        if isinstance(reasons, dict)
        else {},
    )


def _number(value: JsonValue) -> float:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return 0.0
