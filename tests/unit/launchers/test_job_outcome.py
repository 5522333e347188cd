"""How a job's end is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxmill import errors
from voxmill.launchers.jobs import JobResult
from voxmill.launchers.launcher import StageResult, StageRun
from voxmill.launchers.outcome import failure, in_words

RUN = StageRun(
    run="digits-manual",
    recipe="digits",
    stage="train",
    attempt=1,
    recipe_file=Path("digits.yaml"),
    inputs={},
    out=Path("out"),
    work=Path("work"),
)


@pytest.mark.parametrize(
    "kind",
    [
        *(errors.UsageError, errors.DataError, errors.GateRefused, errors.EngineMissing),
        *(errors.TrainingFailed, errors.CheckpointedAndLeft, errors.GpuLost),
    ],
)
def test_each_exit_code_becomes_the_error_it_came_from(kind: type[errors.VoxmillError]) -> None:
    """The error crosses the border between processes and arrives as itself."""
    error = failure(RUN, StageResult(exit_code=kind.exit_code, seconds=1.0))
    assert type(error) is kind


@pytest.mark.parametrize("code", [1, 124, 127, 137, 255])
def test_any_other_exit_code_stays_what_it_is(code: int) -> None:
    """For Airflow these are failures that may pass by themselves."""
    error = failure(RUN, StageResult(exit_code=code, seconds=1.0))
    assert (type(error), error.exit_code) == (errors.VoxmillError, code)


def test_a_stage_that_was_asked_to_leave_before_it_listened_has_left() -> None:
    """SIGTERM during its imports ends a stage without its own word; nothing of it has failed."""
    error = failure(RUN, StageResult(exit_code=128 + 15, seconds=1.0))
    assert type(error) is errors.CheckpointedAndLeft
    assert "asked to leave while it was starting or ending" in str(error)


def test_the_message_ends_with_the_stage_s_own_word_and_its_log(tmp_path: Path) -> None:
    """Nobody should have to open a log to learn what a stage said last."""
    log = tmp_path / "train.1.log"
    log.write_text(
        "step 1\nvoxmill: Loss became infinite.\nLower the rate.\n[warden] ended after 1 s\n"
    )
    message = str(failure(RUN, StageResult(exit_code=70, seconds=1.0, log=log)))
    assert message == (
        "Stage train of digits ended with exit code 70 (training failed). It said: "
        f"Loss became infinite.\nLower the rate.\nLog: {log}"
    )


def test_the_last_word_is_found_in_a_log_of_json_too(tmp_path: Path) -> None:
    """With VOXMILL_LOG=json a stage's own log is JSON as well."""
    event = {"time": "2026-11-21T03:45:12.123Z", "level": "ERROR", "logger": "voxmill"}
    event |= {"message": "Loss became infinite.\nLower the rate.", "exit_code": 70}
    log = tmp_path / "train.1.log"
    log.write_text(f"step 1\n{json.dumps(event)}\n[warden] ended after 1 s\n")
    message = str(failure(RUN, StageResult(exit_code=70, seconds=1.0, log=log)))
    assert message.endswith(
        f"(training failed). It said: Loss became infinite.\nLower the rate.\nLog: {log}"
    )


def test_a_kill_during_the_kernel_s_want_of_memory_is_called_so() -> None:
    """137 alone leaves a person guessing."""
    killed = JobResult(
        attempt=1, exit_code=137, cause="exited", seconds=9, max_rss_bytes=2**31, oom_kills=1
    )
    assert "for want of memory; peak memory of its largest process 2048 MiB" in in_words(killed)
    quiet = killed.model_copy(update={"oom_kills": 0})
    assert in_words(quiet).startswith("killed by SIGKILL: somebody, or a memory limit")


def test_other_signals_are_named() -> None:
    """139 is SIGSEGV to those who know; everybody else reads the name."""
    crashed = JobResult(attempt=1, exit_code=139, cause="exited", seconds=9)
    assert in_words(crashed) == "died of SIGSEGV"
