"""From the exit code of a workshop process to the error that it stood for."""

from __future__ import annotations

from voxmill.errors import (
    CheckpointedAndLeft,
    DataError,
    EngineMissing,
    GpuLost,
    TrainingFailed,
    UsageError,
    VoxmillError,
)

_BY_CODE = {
    error.exit_code: error
    for error in (
        UsageError,
        DataError,
        EngineMissing,
        TrainingFailed,
        CheckpointedAndLeft,
        GpuLost,
    )
}


def error_of(exit_code: int, message: str) -> VoxmillError:
    """The error that a process with this exit code ended with; a plain one for other codes."""
    return _BY_CODE.get(exit_code, VoxmillError)(message)
