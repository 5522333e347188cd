"""Files copied into a stage's output, each with its size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from voxmill.corpus.sources.listing import FileFacts

_BLOCK_BYTES = 2**20


class MirroredFiles:
    """Copies files, byte for byte, and keeps what they are.

    Args:
        out: The stage's output folder.
        before_each: Called before each file; may raise to leave.
    """

    def __init__(self, out: Path, before_each: Callable[[], None] = lambda: None) -> None:
        self.out = out
        self._before_each = before_each
        self._facts: dict[str, FileFacts] = {}

    @property
    def facts(self) -> dict[str, FileFacts]:
        """Size and hash by path in the output, in order of path."""
        return dict(sorted(self._facts.items()))

    def add(self, source: Path, path: str) -> Path:
        """Copies one file to a path of the output, and gives that path.

        Only the content is copied: neither times nor rights, which DVC takes away from its cache.
        """
        self._before_each()
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, count = hashlib.sha256(), 0
        with source.open("rb") as reading, target.open("wb") as writing:
            while block := reading.read(_BLOCK_BYTES):
                digest.update(block)
                count += len(block)
                writing.write(block)
        self._facts[path] = FileFacts(bytes=count, sha256=digest.hexdigest())
        return target

    def add_folder(self, source: Path, path: str) -> None:
        """Copies every file below a folder."""
        for file in sorted(source.rglob("*")):
            if file.is_file():
                self.add(file, f"{path}/{file.relative_to(source).as_posix()}")
