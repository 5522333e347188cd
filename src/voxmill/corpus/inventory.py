"""The mirror of a source: few large archives instead of thousands of files, and an index.

Loose files cost DVC minutes where archives cost seconds. The archives are plain USTAR, so that a
person can open them; the index holds where each file's bytes begin, so that reading is one seek.
The same files give the same bytes: members in ascending order of path, no times, no owners.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import BaseModel, ConfigDict, Field

from voxmill.corpus.manifest import iterate_lines, write_lines
from voxmill.errors import DataError

ARCHIVE_BYTES = 256 * 2**20
"""Largest archive; a single larger file gets an archive to itself."""
_BLOCK_BYTES = tarfile.BLOCKSIZE
_END_BYTES = tarfile.RECORDSIZE
"""What closing an archive may add."""


class InventoryEntry(BaseModel):
    """One mirrored file: what it is and where its bytes lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """As the source names it, relative, with forward slashes."""
    bytes: int = Field(ge=0)
    sha256: str
    archive: str
    """Name of the archive in `archives/`."""
    offset: int = Field(ge=0)
    """Where the first byte of content stands in the archive."""


class InventoryWriter:
    """Copies files into archives and hashes them on the way; `with` closes the inventory."""

    def __init__(self, folder: Path, *, archive_bytes: int = ARCHIVE_BYTES) -> None:
        """Starts an inventory in an empty or new folder."""
        self._folder = folder
        self._archive_bytes = archive_bytes
        self._entries: list[InventoryEntry] = []
        self._archive: tarfile.TarFile | None = None
        self._archive_count = 0
        (folder / "archives").mkdir(parents=True, exist_ok=True)

    @property
    def entries(self) -> tuple[InventoryEntry, ...]:
        """What was added so far, in order of path."""
        return tuple(self._entries)

    def add(self, path: str, content: bytes | Path) -> InventoryEntry:
        """Adds one file; call in ascending order of path.

        Raises:
            DataError: The file changed or vanished while it was copied, its path is too long for
                an archive, or it was added before.
        """
        if self._entries and path <= self._entries[-1].path:
            raise DataError(
                f"Source file {path}: added after {self._entries[-1].path}. Each path may come "
                "once, in ascending order."
            )
        if isinstance(content, bytes):
            entry = self._copy(path, BytesIO(content), len(content))
        else:
            entry = self._copy_file(path, content)
        self._entries.append(entry)
        return entry

    def close(self) -> None:
        """Ends the last archive and writes the index."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
        write_lines(self._folder / "inventory.jsonl", self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._archive is not None and self._archive.fileobj is not None:
            self._archive.fileobj.close()  # without the end marks: this archive is not finished

    def _copy_file(self, path: str, file: Path) -> InventoryEntry:
        try:
            with file.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                entry = self._copy(path, stream, size)
                grown = stream.read(1) != b""
        except FileNotFoundError as error:
            raise _changed(path, "it vanished") from error
        if grown:
            raise _changed(path, f"it grew beyond {size} bytes")
        return entry

    def _copy(self, path: str, stream: BinaryIO, size: int) -> InventoryEntry:
        archive = self._archive_for(size)
        offset = archive.offset + _BLOCK_BYTES
        hashing = _HashingStream(stream)
        member = tarfile.TarInfo(path)
        member.size = size
        try:
            archive.addfile(member, hashing)
        except ValueError as error:
            raise DataError(
                f"Source file {path}: its path does not fit into an archive ({error}). "
                "Shorten the names of its folders."
            ) from error
        except OSError as error:
            if hashing.count < size and error.errno is None:
                raise _changed(path, f"it shrank to {hashing.count} of {size} bytes") from error
            raise
        return InventoryEntry(
            path=path,
            bytes=size,
            sha256=hashing.hexdigest(),
            archive=f"{self._archive_count - 1:05d}.tar",
            offset=offset,
        )

    def _archive_for(self, size: int) -> tarfile.TarFile:
        """The open archive if the file still fits, else a new one."""
        needed = 2 * _BLOCK_BYTES + size + _END_BYTES
        archive = self._archive
        if archive is not None and archive.offset and archive.offset + needed > self._archive_bytes:
            archive.close()
            archive = None
        if archive is None:
            name = f"{self._archive_count:05d}.tar"
            archive = tarfile.open(  # noqa: SIM115 - stays open until it is full
                self._folder / "archives" / name, "w", format=tarfile.USTAR_FORMAT
            )
            self._archive_count += 1
            self._archive = archive
        return archive


class Inventory:
    """Reads mirrored files by path; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Opens the inventory in a folder.

        Raises:
            DataError: The index is missing or damaged.
        """
        self._folder = folder
        lines = iterate_lines(folder / "inventory.jsonl", InventoryEntry)
        self._entries = {entry.path: entry for entry in lines}
        self._archives: dict[str, int] = {}

    @property
    def entries(self) -> Mapping[str, InventoryEntry]:
        """Entry by path, in order of path."""
        return self._entries

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, path: str) -> bytes:
        """The content of one file, checked against its hash.

        Raises:
            DataError: The inventory has no such file, or its bytes are not what was mirrored.
        """
        entry = self._entries.get(path)
        if entry is None:
            raise DataError(
                f"Inventory {self._folder} has no file {path}; it holds {len(self)} files. "
                "Run ingest again."
            )
        content = os.pread(self._descriptor(entry.archive), entry.bytes, entry.offset)
        found = hashlib.sha256(content).hexdigest()
        if found != entry.sha256:
            raise DataError(
                f"Inventory {self._folder}, file {path}: expected sha256 {entry.sha256[:12]}… over "
                f"{entry.bytes} bytes, found {found[:12]}… over {len(content)} in archive "
                f"{entry.archive}. Restore the archive (`dvc pull`) or run ingest again."
            )
        return content

    def verify(self, paths: Iterable[str] | None = None) -> Iterator[DataError]:
        """The damage found among those files (all where none are named); nothing if all is well."""
        for path in self._entries if paths is None else paths:
            try:
                self.read(path)
            except DataError as error:
                yield error

    def close(self) -> None:
        """Closes the archives; reading opens them again."""
        while self._archives:
            _, descriptor = self._archives.popitem()
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _descriptor(self, archive: str) -> int:
        if archive not in self._archives:
            path = self._folder / "archives" / archive
            if not path.is_file():
                raise DataError(
                    f"Inventory {self._folder}: archive {archive} is missing. Restore it "
                    "(`dvc pull`) or run ingest again."
                )
            opened = os.open(path, os.O_RDONLY)
            if self._archives.setdefault(archive, opened) != opened:
                os.close(opened)  # another thread was faster
        return self._archives[archive]


class _HashingStream:
    """Passes bytes on while it hashes and counts them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        content = self._stream.read(size)
        self._hash.update(content)
        self.count += len(content)
        return content

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _changed(path: str, how: str) -> DataError:
    return DataError(
        f"Source file {path}: {how} while it was copied. Wait until nothing writes into the "
        "source, then run `voxmill sync RECIPE` and start again."
    )
