"""Several sources as one: real recordings with synthetic speech added, for example."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from voxmill.corpus.inventory import InventoryEntry
from voxmill.corpus.sources.listing import FileFacts, Listing
from voxmill.corpus.sources.source import Mirrored, Source, Target
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance


class Mixture:
    """Source `mixture`: ids and paths begin with the name of the part, speakers do not.

    A speaker of the same name in two parts counts as one person: taking two people for one costs
    a little data, taking one for two would test on a voice that was trained on.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        """Takes the sources by part name."""
        self._parts = dict(sorted(parts.items(), key=lambda item: _prefix(item[0])))

    def listing(self, *, cache: Path | None = None) -> Listing:
        """The files of all parts."""
        files: dict[str, FileFacts] = {}
        digests: dict[str, str] = {}
        for name, source in self._parts.items():
            own = cache.with_name(f"{cache.name}.{name}") if cache else None
            listing = source.listing(cache=own)
            digests[name] = listing.digest
            files |= {_prefix(name) + path: facts for path, facts in listing.files.items()}
        return Listing.of("mixture", files, parts=",".join(f"{n}={d}" for n, d in digests.items()))

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Copies one part after the other."""
        utterances: list[SourceUtterance] = []
        problems: list[RejectedUtterance] = []
        left_out: set[str] = set()
        for name, source in self._parts.items():
            start = _prefix(name)
            own = {one.removeprefix(start) for one in leave_out if one.startswith(start)}
            found = source.mirror(_PrefixedWriter(target, start), leave_out=own)
            utterances += [_renamed(one, start) for one in found.utterances]
            problems += [one.model_copy(update={"id": start + one.id}) for one in found.problems]
            left_out |= {start + path for path in found.left_out}
        return Mirrored(
            utterances=tuple(utterances), problems=tuple(problems), left_out=frozenset(left_out)
        )


class _PrefixedWriter:
    """Puts the part's name before each path."""

    def __init__(self, target: Target, start: str) -> None:
        self._target = target
        self._start = start

    def add(self, path: str, content: bytes | Path) -> InventoryEntry:
        return self._target.add(self._start + path, content)


def _renamed(utterance: SourceUtterance, start: str) -> SourceUtterance:
    update = {"id": start + utterance.id, "audio": start + utterance.audio}
    return utterance.model_copy(update=update)


def _prefix(part: str) -> str:
    return f"{part}/"
