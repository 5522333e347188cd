"""What a source holds, by path and hash: `sync` writes it down, ingest compares with it.

Hashing a large folder takes minutes; a cache of size and modification time makes the second
look cheap. The cache is a shortcut of one machine and never decides what a release holds: ingest
hashes every byte that it mirrors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from voxmill.corpus.manifest import write_text
from voxmill.errors import DataError


class FileFacts(BaseModel):
    """Size and hash of one file of a source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str


class Listing(BaseModel):
    """What a source holds: equal digests, equal data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """Kind of the source, such as `folder`."""
    digest: str
    """SHA-256 over everything that decides the data."""
    files: Mapping[str, FileFacts]
    """By relative path; empty where the source makes or downloads its data."""

    @classmethod
    def of(cls, kind: str, files: Mapping[str, FileFacts], **settings: JsonValue) -> Listing:
        """A listing with its digest.

        Args:
            kind: Kind of the source.
            files: Its files.
            settings: Whatever else decides the data, such as a seed or an archive's hash.
        """
        ordered = dict(sorted(files.items()))
        facts = {path: [one.bytes, one.sha256] for path, one in ordered.items()}
        told = json.dumps([kind, facts, settings], sort_keys=True, ensure_ascii=False)
        return cls(kind=kind, digest=hashlib.sha256(told.encode()).hexdigest(), files=ordered)

    def to_json(self) -> str:
        """As `source.json` has it: one line for each file, so that git shows what changed."""
        lines = [
            f"{_dumped(path)}: {_dumped(self.files[path].model_dump())}" for path in self.files
        ]
        files = "{\n" + ",\n".join(lines) + "\n}" if lines else "{}"
        return (
            f'{{\n"digest": {_dumped(self.digest)},\n'
            f'"kind": {_dumped(self.kind)},\n"files": {files}\n}}\n'
        )

    @classmethod
    def read(cls, path: Path) -> Listing | None:
        """The listing in a `source.json`; None where there is none yet (missing or empty).

        Raises:
            DataError: The file holds something else.
        """
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not text.strip() or text.strip() == "{}":
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DataError(
                f"{path} is not a listing of a source: {error.errors()[0]['msg']}. "
                "Run `voxmill sync RECIPE` to write it anew."
            ) from error


@dataclass(frozen=True)
class Difference:
    """What a source has otherwise than its listing says."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        first = (*self.added, *self.removed, *self.changed)[:3]
        counts = (
            f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        )
        return f"{counts}, e.g. {', '.join(first)}" if first else counts


def difference(
    listed: Mapping[str, FileFacts],
    found: Mapping[str, FileFacts],
    *,
    but: Collection[str] = frozenset(),
) -> Difference:
    """Compares what was listed with what is there; the paths in `but` may be missing."""
    ignored = frozenset(but)
    return Difference(
        added=tuple(sorted(set(found) - set(listed))),
        removed=tuple(sorted(set(listed) - set(found) - ignored)),
        changed=tuple(sorted(p for p in set(listed) & set(found) if listed[p] != found[p])),
    )


def hash_files(
    folder: Path, paths: Iterable[str], *, cache: Path | None = None
) -> dict[str, FileFacts]:
    """Size and hash of files below a folder.

    Args:
        folder: Where they are.
        paths: Relative to it, with forward slashes.
        cache: JSON file with earlier hashes; a file of the same size and time is not read again.
            It is written anew.
    """
    earlier = _read_cache(cache)
    facts: dict[str, FileFacts] = {}
    remembered: dict[str, list[Any]] = {}
    for path in sorted(paths):
        file = folder / path
        state = file.stat()
        key = [state.st_size, state.st_mtime_ns]
        known = earlier.get(path)
        sha256 = known[2] if known and known[:2] == key else _sha256(file)
        facts[path] = FileFacts(bytes=state.st_size, sha256=sha256)
        remembered[path] = [*key, sha256]
    if cache is not None:
        write_text(cache, json.dumps(remembered, sort_keys=True))
    return facts


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_cache(cache: Path | None) -> dict[str, list[Any]]:
    """Earlier hashes; a cache that cannot be read is only a slow start."""
    try:
        found = json.loads(cache.read_text(encoding="utf-8")) if cache else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _dumped(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
