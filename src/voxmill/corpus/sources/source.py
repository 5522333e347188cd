"""The port of a source: where recordings and transcripts come from."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxmill.corpus.inventory import InventoryEntry
from voxmill.corpus.reasons import Reason
from voxmill.corpus.sources.listing import Listing
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance
from voxmill.errors import DataError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif"})
"""What counts as a recording, in lower case."""
ARRAY_SUFFIXES = frozenset({".npy"})
"""What counts as a recording where the source holds features."""


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What a source has put into an inventory."""

    utterances: tuple[SourceUtterance, ...]
    """Recordings with their transcripts, in order of id."""
    problems: tuple[RejectedUtterance, ...]
    """What could not be paired, in order of id."""
    left_out: frozenset[str] = frozenset()
    """Paths that the source has but the inventory has not, for their utterances were removed."""


class Target(Protocol):
    """Takes the files of a source: an `InventoryWriter`, or one that stands before it."""

    def add(self, path: str, content: bytes | Path) -> InventoryEntry:
        """Adds one file; called in ascending order of path."""


class Source(Protocol):
    """Recordings and transcripts of one kind."""

    def listing(self, *, cache: Path | None = None) -> Listing:
        """What the source holds, without mirroring it.

        Args:
            cache: File for the hashes of this look, so that the next one is quick.

        Raises:
            DataError: The source is missing or holds no recordings.
        """

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Copies the source into an inventory, in ascending order of path.

        Args:
            target: Where to.
            leave_out: Ids of utterances that are gone for good: neither they nor their
                recordings are mirrored.

        Raises:
            DataError: The source is missing, holds no recordings or changes meanwhile.
        """


def rejected(identity: str, reason: Reason, detail: str) -> RejectedUtterance:
    """A problem of the source itself."""
    return RejectedUtterance(id=identity, reason=reason, detail=detail)


def recordings_and(
    folder: Path,
    others: Collection[str],
    *,
    what: str,
    suffixes: Collection[str] = AUDIO_SUFFIXES,
) -> list[str]:
    """Relative paths of all recordings below a folder, and of files with other suffixes.

    Hidden files and folders are passed over.

    Args:
        folder: Where to look.
        others: Further suffixes in lower case, such as `.txt`.
        what: How messages call the folder, such as `folder source`.
        suffixes: Of recordings.

    Raises:
        DataError: The folder is missing, or no recording is below it.
    """
    if not folder.is_dir():
        raise DataError(
            f"The {what} {folder} is missing. Correct `source.path` in the recipe (relative paths "
            "start at the project, or at VOXMILL_DATA), or put the data there."
        )
    wanted = frozenset(suffixes) | frozenset(others)
    paths = sorted(_relative_files(folder, wanted))
    if not any(is_recording(path, suffixes) for path in paths):
        raise DataError(
            f"The {what} {folder} holds no recordings; expected files ending in "
            f"{', '.join(sorted(suffixes))}. Correct `source.path` or fill the folder."
        )
    return paths


def is_recording(path: str, suffixes: Collection[str] = AUDIO_SUFFIXES) -> bool:
    """Whether a path ends as recordings do."""
    return Path(path).suffix.lower() in suffixes


def _relative_files(folder: Path, suffixes: Collection[str]) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()  # a link may lead back up
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            _relative(Path(parent) / name, folder)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    return found


def _relative(file: Path, folder: Path) -> str:
    path = file.relative_to(folder).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"Source file {path!r} in {folder}: its name is not UTF-8. Rename it."
        ) from error
    return path
