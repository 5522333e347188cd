"""Files of a folder paired to utterances, and how they are mirrored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from voxmill.corpus.sources.source import Mirrored, Target, rejected
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An utterance and the files that belong to it alone."""

    utterance: SourceUtterance
    files: frozenset[str]
    """Its recording and, where that is a file of its own, its transcript."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """What a folder holds, sorted out."""

    folder: Path
    paths: tuple[str, ...]
    """All files that are mirrored, relative to the folder, in ascending order."""
    pairs: tuple[Pair, ...]
    problems: tuple[RejectedUtterance, ...]

    def mirror(self, target: Target, leave_out: Collection[str]) -> Mirrored:
        """Copies the files, but for those of utterances in `leave_out`."""
        gone = frozenset(leave_out)
        kept, twice = _first_of_each_id([p for p in self.pairs if p.utterance.id not in gone])
        unwanted = {f for p in self.pairs if p.utterance.id in gone for f in p.files}
        for path in self.paths:
            if path not in unwanted:
                target.add(path, self.folder / path)
        problems = [*(one for one in self.problems if one.id not in gone), *twice]
        return Mirrored(
            utterances=tuple(pair.utterance for pair in kept),
            problems=tuple(sorted(problems, key=lambda one: (one.id, one.detail))),
            left_out=frozenset(unwanted),
        )


def _first_of_each_id(pairs: list[Pair]) -> tuple[list[Pair], list[RejectedUtterance]]:
    """An id names one utterance: of several, the first recording in order of path stays."""
    first: dict[str, Pair] = {}
    twice: list[RejectedUtterance] = []
    for pair in sorted(pairs, key=lambda one: (one.utterance.id, one.utterance.audio)):
        one = pair.utterance
        other = first.setdefault(one.id, pair)
        if other is not pair:
            detail = f"{one.audio}: the id belongs to {other.utterance.audio}; rename one of them"
            twice.append(rejected(one.id, "duplicate_id", detail))
    return list(first.values()), twice
