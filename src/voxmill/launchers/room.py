"""Room on disk and in memory to start a job."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxmill.errors import EngineMissing
from voxmill.launchers.launcher import StageRun


@contextmanager
def room_wanted(stage_run: StageRun) -> Iterator[None]:
    """Turns a full disk or a full memory, met while starting or following a job, into our error.

    Raises:
        EngineMissing: There is no room left.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(_existing_parent(stage_run.work)).free
            raise EngineMissing(
                f"No space left on the disk of {stage_run.work} ({free} bytes free). Make room, "
                "then start again: nothing that was finished is lost."
            ) from error
        if error.errno == errno.ENOMEM:
            raise EngineMissing(
                f"No memory left to start stage {stage_run.stage} of {stage_run.run}. End other "
                "programs, then start again."
            ) from error
        raise


def _existing_parent(path: Path) -> Path:
    return path if path.exists() else _existing_parent(path.parent)
