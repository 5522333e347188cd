"""Waivers: somebody's word that a failed check does not stand in the way of one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from voxmill.errors import UsageError
from voxmill.pipeline.gates import WAIVERS_FILE, full_name, read_waivers
from voxmill.pipeline.report import read_report
from voxmill.runs.execution import storage_of
from voxmill.runs.git import Git, commit_all
from voxmill.runs.memory import path_of, union
from voxmill.runs.opening import user_name
from voxmill.runs.publishing import publish
from voxmill.runs.run import Run
from voxmill.runs.state import DONE, read_state
from voxmill.runs.worker_lock import worker_lock


def waive(run: Run, check: str, why: str, *, who: str | None = None) -> str:
    """Waives one failed check of a run; see `waive_all`."""
    return waive_all(run, [check], why, who=who)[0]


def waive_all(
    run: Run, checks: Sequence[str], why: str, *, who: str | None = None
) -> tuple[str, ...]:
    """Waives failed checks of a run: lines in memory, committed, pushed and merged.

    Safe to repeat: a check that is waived already keeps the word that it has.

    Args:
        run: The run; the waivers hold for no other.
        checks: Names with their stage, such as `evaluate.wer[test]`.
        why: The reason, in a person's words.
        who: Whose word it is; None: as git knows the user.

    Returns:
        The full names of the checks.

    Raises:
        UsageError: The reason is empty, no finished stage of the run has such a check, or the
            check passed.
    """
    if not why.strip():
        raise UsageError("A waiver needs its reason: --why 'what makes this acceptable'.")
    with worker_lock(run):
        verdicts = _verdicts(run)
        names = tuple(_failed_check(run, verdicts, check) for check in checks)
        waived = {waiver.check for waiver in read_waivers(run.memory) if waiver.run == run.id}
        new = [name for name in dict.fromkeys(names) if name not in waived]
        if new:
            _remember(run, new, why.strip(), who or user_name(run.folder))
        publish(run, storage_of(run))
    return names


def _remember(run: Run, checks: Sequence[str], why: str, who: str) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [
        {"run": run.id, "check": check, "who": who, "why": why, "when": when} for check in checks
    ]
    texts = [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in lines]
    file = run.folder / path_of(run.recipe, WAIVERS_FILE)
    known = file.read_bytes() if file.exists() else b""
    file.write_bytes(union(known, "\n".join(texts).encode()))
    message = f"Waive {', '.join(checks)} of {run.name}\n\n{why}\n\nWaived-by: {who}\n"
    commit_all(Git(run.folder), [path_of(run.recipe, WAIVERS_FILE)], message)


def _verdicts(run: Run) -> dict[str, bool]:
    """Whether each check of the run's finished stages passed, by full name."""
    storage = storage_of(run)
    passed: dict[str, bool] = {}
    for stage, record in read_state(run.folder).items():
        if record.outcome not in DONE:
            continue
        storage.pull(stage)
        for check in read_report(run.output(stage)).checks:
            passed[full_name(stage, check)] = check.passed
    return passed


def _failed_check(run: Run, passed: Mapping[str, bool], wanted: str) -> str:
    """The check's full name, if it failed."""
    if wanted not in passed:
        failed = ", ".join(name for name, good in passed.items() if not good) or "none"
        raise UsageError(
            f"Run {run.recipe}/{run.id} has no check {wanted!r}. Its failed checks: {failed}."
        )
    if passed[wanted]:
        raise UsageError(f"Check {wanted} of {run.recipe}/{run.id} passed: nothing to waive.")
    return wanted
