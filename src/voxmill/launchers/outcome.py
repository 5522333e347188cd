"""How a job ended, in words and as the error that its exit code stands for."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from voxmill.errors import (
    CheckpointedAndLeft,
    DataError,
    EngineMissing,
    GateRefused,
    GpuLost,
    TrainingFailed,
    UsageError,
    VoxmillError,
)
from voxmill.launchers.jobs import JobResult
from voxmill.launchers.launcher import StageResult, StageRun
from voxmill.observability.log_line import as_text

_LEFT_BY_SIGNAL = 128 + signal.SIGTERM
"""A stage that was asked to leave before it listened (imports) or after it had finished (exit)."""
_ERRORS: Mapping[int, type[VoxmillError]] = {
    kind.exit_code: kind
    for kind in (
        UsageError,
        DataError,
        EngineMissing,
        TrainingFailed,
        CheckpointedAndLeft,
        GpuLost,
    )
} | {_LEFT_BY_SIGNAL: CheckpointedAndLeft}
_MEANING = {
    64: "recipe or usage",
    65: "data",
    66: "gate refused",
    69: "engine, library, GPU or disk space missing",
    70: "training failed",
    75: "checkpointed and left; start it again to go on",
    76: "GPU lost; start it again to go on from the checkpoint",
    124: "the time limit was reached; start it again to go on, or raise resources.timeout_hours",
    127: "the command was not found; install voxmill where the stage runs",
    _LEFT_BY_SIGNAL: "asked to leave while it was starting or ending; start it again to go on",
}
_TAIL_BYTES = 16384


def failure(stage_run: StageRun, result: StageResult) -> VoxmillError:
    """The error that a job's exit code stands for, with the job's own last word and its log.

    Args:
        stage_run: What was run.
        result: How it ended; its exit code is not 0.
    """
    words = "; ".join(part for part in (_MEANING.get(result.exit_code), result.cause) if part)
    message = (
        f"Stage {stage_run.stage} of {stage_run.recipe} ended with exit code {result.exit_code}"
        f"{f' ({words})' if words else ''}.{_last_word(result.log)}"
    )
    if result.exit_code == GateRefused.exit_code:
        return GateRefused(message, stage=stage_run.stage, checks=())
    kind = _ERRORS.get(result.exit_code)
    if kind is not None:
        return kind(message)
    error = VoxmillError(message)
    error.exit_code = result.exit_code
    return error


def in_words(result: JobResult) -> str:
    """What is known of an end beyond its exit code; empty where that says it all."""
    if result.cause == "warden lost":
        return "the process that kept the job was killed, and the job with it"
    if result.cause in {"timed out", "stopped"}:
        return f"{result.cause} after {result.seconds:.0f} s"
    if result.exit_code <= 128:
        return ""
    number = result.exit_code - 128
    if number != signal.SIGKILL:
        return f"died of {_name(number)}"
    peak = f"peak memory of its largest process {result.max_rss_bytes / 2**20:.0f} MiB"
    if result.oom_kills:
        return (
            f"killed while the kernel ended {result.oom_kills} process(es) for want of memory; "
            f"{peak}: give it more memory or make batches smaller"
        )
    return f"killed by SIGKILL: somebody, or a memory limit (OOM); {peak}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_word(log: Path | None) -> str:
    """The stage's own message, as the command line writes it: `voxmill: …` to the log's end."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = "\n".join(map(as_text, text.splitlines())).splitlines()
    lines = [line for line in lines if not line.startswith("[warden] ")]
    starts = [number for number, line in enumerate(lines) if line.startswith("voxmill: ")]
    word = "\n".join(lines[starts[-1] :]).removeprefix("voxmill: ") if starts else ""
    said = f" It said: {word}" if word else ""
    return f"{said}\nLog: {log}"
