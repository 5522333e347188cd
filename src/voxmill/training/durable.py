"""Files and folders that survive a power cut: written, synced, and only then given their names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK = 1024 * 1024


class HashingWriter:
    """A binary file that knows the sha256 and the size of what went through it.

    torch.save writes front to back, so the hash costs no second reading.

    Attributes:
        error: The error that stopped a write. torch.save's own clean-up can hide it behind a
            RuntimeError that does not say that the disk is full.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Writes all of data."""
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do: the file is synced at its end."""

    @property
    def sha256(self) -> str:
        """Of everything written so far."""
        return self._hash.hexdigest()


def write_synced(path: Path, write: Callable[[HashingWriter], None]) -> HashingWriter:
    """Writes a file and waits until the disk has it.

    Raises:
        OSError: The disk is full or failed; also where `write` hid that behind another error.
    """
    with path.open("wb") as file:
        writer = HashingWriter(file)
        try:
            write(writer)
        except RuntimeError as error:
            if writer.error is not None:
                raise writer.error from error
            raise
        file.flush()
        os.fsync(file.fileno())
    return writer


def write_json_synced(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys and waits until the disk has it."""
    data = json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"
    write_synced(path, lambda writer: _write_all(writer, data))


def replace_json(path: Path, value: Any) -> None:
    """Puts a JSON file in place of an earlier one; a reader sees the old or the new, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_json_synced(temporary, value)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the disk has the folder's list of names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _write_all(writer: HashingWriter, data: bytes) -> None:
    writer.write(data)
