"""Waivers: somebody's word that a failed check does not stand in the way of one run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from voxmill.errors import UsageError
from voxmill.pipeline.gates import WAIVERS_FILE
from voxmill.pipeline.report import read_report
from voxmill.runs.execution import storage_of
from voxmill.runs.git import Git, commit_all
from voxmill.runs.memory import path_of, union
from voxmill.runs.opening import user_name
from voxmill.runs.publishing import publish
from voxmill.runs.run import Run
from voxmill.runs.state import DONE, read_state
from voxmill.runs.worker_lock import worker_lock


def waive(run: Run, check: str, why: str) -> str:
    """Waives a failed check of a run: a line in memory, committed, pushed and merged.

    Args:
        run: The run; the waiver holds for no other.
        check: Name with its stage, such as `evaluate.wer[test]`.
        why: The reason, in a person's words.

    Returns:
        The full name of the waived check.

    Raises:
        UsageError: The reason is empty, no finished stage of the run has such a check, or the
            check passed.
    """
    if not why.strip():
        raise UsageError("A waiver needs its reason: --why 'what makes this acceptable'.")
    with worker_lock(run):
        name = _failed_check(run, check)
        line = {
            "run": run.id,
            "check": name,
            "who": user_name(run.folder),
            "why": why.strip(),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        file = run.folder / path_of(run.recipe, WAIVERS_FILE)
        known = file.read_bytes() if file.exists() else b""
        new = json.dumps(line, sort_keys=True, ensure_ascii=False).encode()
        file.write_bytes(union(known, new))
        message = f"Waive {name} of {run.name}\n\n{why.strip()}\n"
        commit_all(Git(run.folder), [path_of(run.recipe, WAIVERS_FILE)], message)
        publish(run, storage_of(run))
    return name


def _failed_check(run: Run, wanted: str) -> str:
    """The check's full name, if it failed."""
    storage = storage_of(run)
    passed: dict[str, bool] = {}
    for stage, record in read_state(run.folder).items():
        if record.outcome not in DONE:
            continue
        storage.pull(stage)
        for check in read_report(run.output(stage)).checks:
            full = check.name if check.name.startswith(f"{stage}.") else f"{stage}.{check.name}"
            passed[full] = check.passed
    if wanted not in passed:
        failed = ", ".join(name for name, good in passed.items() if not good) or "none"
        raise UsageError(
            f"Run {run.recipe}/{run.id} has no check {wanted!r}. Its failed checks: {failed}."
        )
    if passed[wanted]:
        raise UsageError(f"Check {wanted} of {run.recipe}/{run.id} passed: nothing to waive.")
    return wanted
