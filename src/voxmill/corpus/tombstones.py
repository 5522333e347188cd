"""Tombstones: utterances that were removed for good, by whom and why."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from voxmill.corpus.manifest import read_lines


class Tombstone(BaseModel):
    """One removed utterance; nothing of it is mirrored or used again, whatever the source has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    why: str
    when: str
    who: str


def removed_ids(memory: Path) -> frozenset[str]:
    """Ids of all removed utterances of a recipe.

    Args:
        memory: The recipe's memory folder; without `tombstones.jsonl` nothing was removed yet.

    Raises:
        DataError: A line is no tombstone.
    """
    path = memory / "tombstones.jsonl"
    if not path.is_file():
        return frozenset()
    return frozenset(line.id for line in read_lines(path, Tombstone))
