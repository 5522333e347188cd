"""Accepted utterances on their way into shards: text, split, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmill.corpus.config import SplitConfig
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.splits import TRAIN, SplitLine, split
from voxmill.corpus.tombstones import removed_ids
from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance
from voxmill.errors import DataError
from voxmill.text.config import TextConfig
from voxmill.text.normalise import normalise


@dataclass(frozen=True, kw_only=True)
class Material:
    """Utterances that have a text and a split."""

    utterances: tuple[AuditedUtterance, ...]
    """In order of id."""
    texts: Mapping[str, str]
    """Normalised transcript by utterance id."""
    splits: Mapping[str, str]
    """Split by utterance id."""
    new_lines: tuple[SplitLine, ...]
    """What memory has to learn."""
    skipped: tuple[RejectedUtterance, ...]
    """Those whose text became empty."""

    @property
    def training_texts(self) -> list[str]:
        """Normalised transcripts that the model may learn from, in order of id."""
        return [self.texts[u.id] for u in self.utterances if self.splits[u.id] == TRAIN]


def read_material(audit: Path, memory: Path, *, text: TextConfig, by: SplitConfig) -> Material:
    """Reads, normalises and splits what audit accepted and nobody removed.

    Args:
        audit: Output folder of the stage audit.
        memory: The recipe's memory.
        text: How transcripts are normalised.
        by: How utterances are split.

    Raises:
        DataError: Manifests are damaged, the recipe names what is not there, or nothing is left
            to train on.
    """
    removed = removed_ids(memory)
    accepted = read_lines(audit / "accepted.jsonl", AuditedUtterance)
    present = sorted((u for u in accepted if u.id not in removed), key=lambda one: one.id)
    texts = {one.id: normalise(one.text, text) for one in present}
    spoken = [one for one in present if texts[one.id]]
    splits = split(spoken, by, _remembered(memory))
    material = Material(
        utterances=tuple(spoken),
        texts=texts,
        splits=splits.by_utterance,
        new_lines=splits.new_lines,
        skipped=tuple(_without_text(one) for one in present if not texts[one.id]),
    )
    _refuse_nothing(material.training_texts, len(accepted))
    return material


def _remembered(memory: Path) -> list[SplitLine]:
    path = memory / "splits.jsonl"
    return read_lines(path, SplitLine) if path.is_file() else []


def _refuse_nothing(training_texts: Sequence[str], accepted: int) -> None:
    if not training_texts:
        raise DataError(
            f"Prepare: of {accepted} accepted utterances none is left to train on. Look at "
            "prepare.split in the recipe, and at memory for what was removed."
        )


def _without_text(utterance: AuditedUtterance) -> RejectedUtterance:
    detail = f"nothing is left of {utterance.text!r} after normalising"
    return RejectedUtterance(id=utterance.id, reason="empty_transcript", detail=detail)
