"""Which word was heard as which: the alignment of one utterance and the confusions of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import jiwer

PairKind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class WordPair:
    """A word as it was said and as it was heard."""

    kind: PairKind
    reference: str
    """Empty for an insertion."""
    hypothesis: str
    """Empty for a deletion."""


@dataclass(frozen=True)
class Confusion:
    """A mistake that was made `count` times."""

    pair: WordPair
    count: int


def align_words(reference: str, hypothesis: str) -> tuple[WordPair, ...]:
    """Pairs the words of one utterance, in order, with as few edits as possible.

    The non-empty references of the pairs, joined, are the reference; so are the hypotheses.
    """
    said, heard = reference.split(), hypothesis.split()
    output = jiwer.process_words(" ".join(said), " ".join(heard))
    return tuple(pair for chunk in output.alignments[0] for pair in _pairs(chunk, said, heard))


def most_frequent_confusions(
    pairs: Iterable[WordPair], *, limit: int | None = None
) -> tuple[Confusion, ...]:
    """The mistakes among the pairs, the most frequent first, ties in alphabetical order.

    Args:
        pairs: Aligned words of any number of utterances; equal ones are passed over.
        limit: How many to give at most; None gives all.
    """
    counts = Counter(pair for pair in pairs if pair.kind != "equal")
    ordered = sorted(
        counts.items(), key=lambda item: (-item[1], item[0].reference, item[0].hypothesis)
    )
    return tuple(Confusion(pair, count) for pair, count in ordered[:limit])


def _pairs(chunk: Any, said: list[str], heard: list[str]) -> list[WordPair]:
    references = said[chunk.ref_start_idx : chunk.ref_end_idx]
    hypotheses = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
    return [
        WordPair(chunk.type, reference, hypothesis)
        for reference, hypothesis in zip_longest(references, hypotheses, fillvalue="")
    ]
