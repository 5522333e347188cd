"""Word and character error rates as counts that add up; the alignment beneath is jiwer's.

An error rate is errors divided by what was really said, over a whole test set: counts of
utterances are added first and divided once, so that a long utterance weighs more than a short one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jiwer

from voxmill.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ErrorCounts:
    """What went wrong in one utterance, or in many: counts add, rates are derived."""

    substitutions: int = 0
    deletions: int = 0
    """Said but not heard."""
    insertions: int = 0
    """Heard but never said."""
    reference: int = 0
    """Units (words or characters) of the reference."""

    @property
    def errors(self) -> int:
        """Smallest number of edits that turn the reference into the hypothesis."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def hits(self) -> int:
        """Units of the reference that were heard rightly."""
        return self.reference - self.substitutions - self.deletions

    @property
    def rate(self) -> float:
        """Errors per unit of the reference; above 1 where much is inserted.

        An empty reference counts as one unit, so that the rate stays finite and inserted words
        still show (jiwer does the same).
        """
        return self.errors / max(self.reference, 1)

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
            reference=self.reference + other.reference,
        )


@dataclass(frozen=True, kw_only=True)
class Score:
    """Word and character errors of one utterance, or of many."""

    words: ErrorCounts = field(default_factory=ErrorCounts)
    characters: ErrorCounts = field(default_factory=ErrorCounts)
    """Spaces between words count as characters: a lost word boundary is an error."""
    utterances: int = 0
    empty_references: int = 0
    """Utterances in which nothing was said; whatever is heard there is an insertion."""

    @property
    def wer(self) -> float:
        """Word error rate, 0 for a perfect transcript."""
        return self.words.rate

    @property
    def cer(self) -> float:
        """Character error rate, 0 for a perfect transcript."""
        return self.characters.rate

    def __add__(self, other: Score) -> Score:
        return Score(
            words=self.words + other.words,
            characters=self.characters + other.characters,
            utterances=self.utterances + other.utterances,
            empty_references=self.empty_references + other.empty_references,
        )


def score_utterance(reference: str, hypothesis: str) -> Score:
    """Errors of one hypothesis against what was really said."""
    return score_utterances([reference], [hypothesis])[0]


def score_utterances(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[Score, ...]:
    """Errors of each hypothesis against the reference at the same position.

    Words are what whitespace separates; case, punctuation and diacritics count as they stand, so
    texts are normalised before, both sides alike.

    Raises:
        DataError: There are more references than hypotheses, or fewer.
    """
    if len(references) != len(hypotheses):
        raise DataError(
            f"Scoring: {len(references)} references but {len(hypotheses)} hypotheses. "
            "Give one hypothesis for each reference, an empty one where nothing was heard."
        )
    if not references:
        return ()
    said = [" ".join(text.split()) for text in references]
    heard = [" ".join(text.split()) for text in hypotheses]
    words = _counts(jiwer.process_words(said, heard))
    characters = _counts(jiwer.process_characters(said, heard))
    return tuple(
        Score(words=word, characters=character, utterances=1, empty_references=int(not text))
        for text, word, character in zip(said, words, characters, strict=True)
    )


def total(scores: Iterable[Score]) -> Score:
    """The counts of all scores together."""
    return sum(scores, start=Score())


def _counts(output: Any) -> list[ErrorCounts]:
    return [
        _chunk_counts(chunks, len(reference))
        for chunks, reference in zip(output.alignments, output.references, strict=True)
    ]


def _chunk_counts(chunks: Any, reference: int) -> ErrorCounts:
    counts = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for chunk in chunks:
        said = chunk.ref_end_idx - chunk.ref_start_idx
        heard = chunk.hyp_end_idx - chunk.hyp_start_idx
        counts[chunk.type] += max(said, heard)
    return ErrorCounts(
        substitutions=counts["substitute"],
        deletions=counts["delete"],
        insertions=counts["insert"],
        reference=reference,
    )
