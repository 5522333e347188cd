"""Reads journals back: one line for each step and set of labels, the highest attempt's."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

RESUMED = "voxmill_train_resumed_step"
"""An attempt opens with it: what earlier attempts wrote after that step was done again."""


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """What one attempt recorded for one step; a value that was not finite reads as NaN."""

    time: float
    """Seconds since 1970."""
    attempt: int
    step: int
    values: Mapping[str, float]
    labels: Mapping[str, str]


def read_journal(folder: Path) -> list[JournalLine]:
    """The true course of a run, put together from all its attempts.

    For one step, metric and set of labels the highest attempt wins. What an earlier attempt
    recorded beyond the step that a later one went on from is left out: it was done again.

    Args:
        folder: Holds `<attempt>.jsonl`. A missing folder is an empty journal.

    Returns:
        Lines in the order of their steps, those of one step without labels first.
    """
    merged: dict[tuple[int, tuple[tuple[str, str], ...]], JournalLine] = {}
    for attempt in _attempts(folder):
        for line in _lines(folder / f"{attempt}.jsonl"):
            if RESUMED in line.values:
                merged = {key: old for key, old in merged.items() if key[0] <= line.step}
            key = (line.step, tuple(sorted(line.labels.items())))
            merged[key] = _over(merged.get(key), line)
    return [merged[key] for key in sorted(merged)]


def write_curves(lines: Iterable[JournalLine], path: Path) -> int:
    """Writes what a reader of a finished run needs: `{labels, step, values}` a line.

    Returns:
        The number of lines.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            values = {k: v if math.isfinite(v) else None for k, v in line.values.items()}
            record = {"labels": dict(line.labels), "step": line.step, "values": values}
            file.write(json.dumps(record, sort_keys=True, allow_nan=False) + "\n")
            count += 1
    return count


def decode_line(row: bytes) -> JournalLine | None:
    """One line of a journal; None where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(row)
        time = float(found["time"])
        if not math.isfinite(time):
            return None
        return JournalLine(
            time=time,
            attempt=int(found["attempt"]),
            step=int(found["step"]),
            values={
                str(k): math.nan if v is None else float(v) for k, v in found["values"].items()
            },
            labels={str(k): str(v) for k, v in found["labels"].items()},
        )
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None


def _attempts(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.jsonl") if path.stem.isdigit())


def _lines(path: Path) -> Iterable[JournalLine]:
    rows = path.read_bytes().split(b"\n")
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        line = decode_line(row)
        if line is not None:
            yield line
        elif number < len(rows):  # a last line without its end is a writer caught in the act
            logger.warning("Journal %s: line %d cannot be read and is left out", path, number)


def _over(earlier: JournalLine | None, later: JournalLine) -> JournalLine:
    if earlier is None:
        return later
    return JournalLine(
        time=later.time,
        attempt=later.attempt,
        step=later.step,
        values={**earlier.values, **later.values},
        labels=later.labels,
    )
