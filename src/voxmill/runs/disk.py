"""Full disks: how they are recognised, and what is said about them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from voxmill.errors import EngineMissing

_NEARLY_FULL_BYTES = 32 * 2**20


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk or quota is the cause, at any depth."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        error = error.__cause__ or error.__context__
    return False


def is_nearly_full(folder: Path) -> bool:
    """Whether the disk of a folder has so little left that anything may fail there.

    SQLite, which DVC keeps hashes in, says no more than "disk I/O error" then.
    """
    return shutil.disk_usage(folder).free < _NEARLY_FULL_BYTES


def disk_full(folder: Path, said: str) -> EngineMissing:
    """The error for a full disk.

    Args:
        folder: The clone or project that was worked for; the full disk may be another one.
        said: What was said, which mostly names the file.
    """
    return EngineMissing(
        f"A disk is full: {said}. Free some space there and start again: finished stages are "
        f"committed in {folder}, and the present one goes on where it can."
    )
