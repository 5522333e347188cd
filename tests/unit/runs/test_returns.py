"""A stage that comes back again and again without getting anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.errors import CheckpointedAndLeft, EngineMissing, GpuLost
from voxmill.runs.returns import MOST_IN_VAIN, bounded_returns, newest_checkpoint
from voxmill.runs.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("digits", "one", tmp_path)


def checkpoint(run: Run, name: str) -> None:
    (run.folder / "work" / "digits" / "checkpoints" / name).mkdir(parents=True)


def comes_back(run: Run, error: Exception | None = None) -> type[Exception]:
    """What Airflow gets to see of one try."""
    error = error or GpuLost("The GPU fell off the bus.")
    with pytest.raises(type(error).__mro__[1]) as raised, bounded_returns(run, "train"):
        raise error
    return raised.type


def test_returns_without_progress_end_with_a_reason(run: Run) -> None:
    """Rule: a GPU that is lost at every start is no endless loop; the machine is named."""
    checkpoint(run, "step-00000200")
    assert [comes_back(run) for _ in range(MOST_IN_VAIN)] == [GpuLost] * MOST_IN_VAIN
    with pytest.raises(EngineMissing) as raised, bounded_returns(run, "train"):
        raise GpuLost("The GPU fell off the bus.")
    message = str(raised.value)
    assert f"lost its GPU {MOST_IN_VAIN + 1} times in a row" in message
    assert "still step-00000200" in message
    assert "nvidia-smi" in message
    assert "The GPU fell off the bus." in message


def test_a_newer_checkpoint_starts_the_count_anew(run: Run) -> None:
    """Rule: a training that is stopped every night gets there in the end."""
    for night in range(4 * MOST_IN_VAIN):
        checkpoint(run, f"step-{night:08d}")
        assert comes_back(run, CheckpointedAndLeft("Saved.")) is CheckpointedAndLeft


def test_whoever_gave_up_may_start_again(run: Run) -> None:
    """Rule: clearing the failed task is a new beginning, not the next failure."""
    kinds = [comes_back(run) for _ in range(2 * (MOST_IN_VAIN + 1))]
    assert kinds == ([GpuLost] * MOST_IN_VAIN + [EngineMissing]) * 2


def test_a_stage_that_ended_well_forgets_its_returns(run: Run) -> None:
    """Rule: only returns in a row count."""
    for _ in range(2 * MOST_IN_VAIN):
        assert comes_back(run) is GpuLost
        with bounded_returns(run, "train"):
            pass


def test_stages_are_counted_apart_and_other_failures_pass(run: Run) -> None:
    """Rule: what uses retries or fails at once is not this file's business."""
    for _ in range(MOST_IN_VAIN):
        comes_back(run)
    with pytest.raises(CheckpointedAndLeft), bounded_returns(run, "audit"):
        raise CheckpointedAndLeft("Saved.")
    with pytest.raises(RuntimeError), bounded_returns(run, "train"):
        raise RuntimeError("a lock")


def test_the_newest_checkpoint_is_that_of_the_highest_step(run: Run) -> None:
    """Rule: a second one of a step is newer; half-written and set-aside ones do not count."""
    assert newest_checkpoint(run) == ""
    for name in ("step-00000900", "step-00001000", "step-00001000.1", "step-00002000.set-aside"):
        checkpoint(run, name)
    checkpoint(run, ".writing-step-00003000")
    assert newest_checkpoint(run) == "step-00001000.1"
