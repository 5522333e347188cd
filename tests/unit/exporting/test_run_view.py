"""What records and jobs make of a stage, and stages of a run."""

from __future__ import annotations

import pytest

from voxmill.exporting.run_view import StageView, refuse_behind, run_state, stage_state
from voxmill.runs.state import StageRecord


@pytest.mark.parametrize(
    ("record", "live", "state"),
    [
        (None, False, "pending"),
        (None, True, "running"),
        (StageRecord(outcome="started"), True, "running"),
        (StageRecord(outcome="started"), False, "stopped"),
        (StageRecord(outcome="executed", verdict="passed"), False, "done"),
        (StageRecord(outcome="executed", verdict="failed"), False, "done"),
        (StageRecord(outcome="restored", verdict="passed"), False, "done"),
        (StageRecord(outcome="unchanged", verdict="not_applicable"), False, "not_applicable"),
        (StageRecord(outcome="failed", exit_code=70), False, "failed"),
        (StageRecord(outcome="failed", exit_code=66), False, "refused"),
        (StageRecord(outcome="failed", exit_code=70), True, "running"),
        (StageRecord(outcome="stopped", exit_code=75), False, "stopped"),
    ],
)
def test_a_stage_is_what_its_record_says_unless_its_job_goes_on(record, live, state):
    """A worker may have died; the job is what counts."""
    assert stage_state(record, live=live) == state


def stages(*states: str) -> list[StageView]:
    return [StageView(name=f"s{n}", state=state) for n, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "attended", "released", "expected"),
    [
        (("done", "running", "pending"), False, False, "running"),
        (("done", "pending"), True, False, "running"),
        (("done", "pending"), False, False, "waiting"),
        (("pending", "pending"), False, False, "waiting"),
        (("done", "stopped", "pending"), False, False, "stopped"),
        (("done", "failed", "pending"), False, False, "failed"),
        (("done", "failed", "pending"), True, False, "running"),
        (("done", "refused"), False, False, "failed"),
        (("done", "not_applicable"), False, False, "finished"),
        (("done", "not_applicable"), False, True, "released"),
        (("done", "not_applicable"), True, False, "finished"),
    ],
)
def test_a_run_is_what_its_stages_make_it(states, attended, released, expected):
    """A worker at a run that failed is trying again."""
    assert run_state(stages(*states), attended=attended, released=released) == expected


def test_the_stage_behind_a_failed_gate_is_refused_until_somebody_waives():
    """Only the first one: those after it wait for it."""
    failed, waived = {"failed": 1, "waived": 0}, {"failed": 0, "waived": 1}
    for checks, states in (
        (failed, ["done", "refused", "pending"]),
        (waived, ["done", "pending", "pending"]),
    ):
        row = [StageView(name="audit", state="done", checks=checks), *stages("pending", "pending")]
        assert [stage.state for stage in refuse_behind(row)] == states
