"""How far a run has come: `stages.json`, committed with each finished stage."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

STATE_FILE = "stages.json"
Outcome = Literal["started", "executed", "restored", "unchanged", "failed", "stopped"]
DONE: frozenset[str] = frozenset({"executed", "restored", "unchanged"})


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What is known of one stage of a run."""

    outcome: Outcome
    attempt: int = 0
    """The newest try, from 1; 0 where none was needed."""
    verdict: str = ""
    seconds: float = 0.0
    """Of the stage itself; 0 where nothing ran."""
    exit_code: int | None = None
    time: str = ""
    """When it was written: UTC, ISO 8601."""


def read_state(folder: Path) -> dict[str, StageRecord]:
    """Record by stage name, in the order that the stages were begun."""
    path = folder / STATE_FILE
    if not path.is_file():
        return {}
    return parse_state(path.read_bytes())


def parse_state(content: bytes) -> dict[str, StageRecord]:
    """Record by stage name, from the content of a stages.json."""
    values: dict[str, dict[str, Any]] = json.loads(content)
    return {stage: StageRecord(**value) for stage, value in values.items()}


def write_record(folder: Path, stage: str, record: StageRecord) -> None:
    """Puts a stage's record in; readers see the file before or after, never between."""
    state = {**read_state(folder), stage: record}
    write_json(folder / STATE_FILE, {name: asdict(value) for name, value in state.items()})


def next_attempt(folder: Path, stage: str) -> int:
    """The number of the next try of a stage."""
    record = read_state(folder).get(stage)
    return (record.attempt if record else 0) + 1


def mark(folder: Path, stage: str, **changes: Any) -> StageRecord:
    """Changes some fields of a stage's record, and writes it."""
    record = replace(read_state(folder).get(stage) or StageRecord(outcome="started"), **changes)
    write_record(folder, stage, record)
    return record


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A stage that was launched and whose result is not yet committed and pushed.

    It lies in `.git/`, outside the tree: it tells the next worker on this machine what a killed
    one was at.
    """

    stage: str
    attempt: int
    fingerprint: Mapping[str, Any]
    """`Storage.fingerprint` at the launch."""


def read_pending(folder: Path, stage: str) -> Pending | None:
    """What a worker left unfinished of this stage; None where it left nothing."""
    path = _pending_path(folder, stage)
    return Pending(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def write_pending(folder: Path, pending: Pending) -> None:
    """Says what is about to be launched."""
    write_json(_pending_path(folder, pending.stage), asdict(pending))


def clear_pending(folder: Path, stage: str) -> None:
    """The stage's result is committed and pushed."""
    _pending_path(folder, stage).unlink(missing_ok=True)


def write_json(path: Path, values: object) -> None:
    """Writes a JSON file whole: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(values, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _pending_path(folder: Path, stage: str) -> Path:
    return folder / ".git" / "voxmill-pending" / f"{stage}.json"
