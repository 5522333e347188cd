"""From log-probabilities to token ids: best path and prefix beam search, in numpy.

Prefix beam search after Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition
using Bi-Directional Recurrent DNNs", 2014, algorithm 1, in log space; with the package's language
model where asked. It can be told how many tokens an answer has, which is the whole grammar of
isolated words, of commands and of numbers with a known count of digits.

Legend: S output frames, V tokens.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxmill.errors import UsageError
from voxmill.text.ngram import FILE, NgramModel
from voxmill.text.tokenizer import BLANK_ID

LogProbabilities = npt.NDArray[np.float32]
Labels = tuple[int, ...]

ATTENTION = "attention"
"""Name of the decoder that is a part of the model; what it writes, no function of CTC's scores."""
_DEFAULT_WIDTH = 8
_NEVER = -math.inf
_NEGLIGIBLE = -12.0  # a token less likely than e^-12 in a frame extends no prefix


@dataclass(frozen=True)
class Decoder:
    """A decoder and the name that figures are reported under."""

    name: str
    """`ctc-greedy`, `ctc-beam8`, `ctc-beam8-lm` with a language model, `ctc-beam8:1-1` where an
    answer has exactly one token."""
    decode: Callable[[LogProbabilities], Labels]
    """Takes (S, V) log-probabilities, gives token ids without blanks."""


def decoder_named(asked: str, folder: Path) -> Decoder:
    """The decoder of a name: `greedy`, `beam` (8 wide), `beam16`; with or without `ctc-`.

    `beam16-lm` heeds the artefact's language model. `beam16:1-3` gives answers of one to three
    tokens, `beam-lm:2-` of two and more. `attention` is the model's own, see `ATTENTION`.

    Args:
        asked: The name.
        folder: The artefact's, where a language model would be.

    Raises:
        UsageError: There is no decoder of that name.
        DataError: The artefact has no language model, and the name asks for it.
    """
    name = asked.removeprefix("ctc-")
    if asked == ATTENTION:
        return Decoder(ATTENTION, greedy)
    if name == "greedy":
        return Decoder("ctc-greedy", greedy)
    beam = re.fullmatch(r"beam([1-9]\d*)?(-lm)?(?::(\d+)-([1-9]\d*)?)?", name)
    fewest, most = (int(beam[3] or 0), int(beam[4]) if beam[4] else None) if beam else (0, None)
    if beam is None or (most is not None and most < fewest):
        raise UsageError(
            f"evaluate.decoder: found {asked!r}; allowed are greedy, beam, beam followed by a "
            "width, such as beam16, by -lm, such as beam16-lm, and by the fewest and most tokens "
            "of an answer, such as beam16:1-3 or beam16-lm:1-, and attention."
        )
    width = int(beam[1] or _DEFAULT_WIDTH)
    counts = f":{fewest}-{most or ''}" if fewest or most else ""
    language = NgramModel.read(folder / FILE) if beam[2] else None
    search = partial(beam_search, width=width, fewest=fewest, most=most, language=language)
    return Decoder(f"ctc-beam{width}{beam[2] or ''}{counts}", search)


def greedy(log_probabilities: LogProbabilities) -> Labels:
    """Best path: the likeliest token of each frame, repeats collapsed, blanks left out."""
    best = log_probabilities.argmax(axis=-1)
    changed = np.diff(best, prepend=-1) != 0
    return tuple(int(token) for token in best[changed] if token != BLANK_ID)


def beam_search(
    log_probabilities: LogProbabilities,
    *,
    width: int,
    fewest: int = 0,
    most: int | None = None,
    language: NgramModel | None = None,
) -> Labels:
    """The likeliest labelling, summed over the alignments of the `width` best prefixes.

    Args:
        log_probabilities: (S, V).
        width: How many prefixes go on from frame to frame; of each length below `fewest` as many.
        fewest: Tokens that an answer has at least, as far as there are frames for them.
        most: Tokens that it has at most; None for any number.
        language: Adds its scores to those of the prefixes; None for the network's alone.
    """
    beams: dict[Labels, _Prefix] = {(): _Prefix(blank=0.0)}
    for frame in log_probabilities.astype(np.float64):
        tokens = _tokens(frame, width if fewest else 0)
        beams = _widest(_extended(beams, frame, tokens, most, language), width, fewest)
    reached = min(fewest, max(map(len, beams)))
    answers = (labels for labels in beams if len(labels) >= reached)
    return max(answers, key=lambda labels: (beams[labels].score, labels))


@dataclass
class _Prefix:
    """Log-probability of the alignments of one prefix, by whether they end in a blank."""

    blank: float = _NEVER
    label: float = _NEVER
    language: float = 0.0
    """What the language model has added for its tokens."""

    @property
    def total(self) -> float:
        return _log_add(self.blank, self.label)

    @property
    def score(self) -> float:
        return self.total + self.language


def _tokens(frame: npt.NDArray[np.float64], kept: int) -> list[int]:
    """What a frame may write: all that is not negligible, and the `kept` likeliest in any case.

    An answer that must not be empty may have to come from frames of next to nothing but blank.
    """
    likely = frame > _NEGLIGIBLE
    likely[np.argsort(-frame)[: kept + 1]] |= kept > 0  # one more, as blank is among them
    return [int(token) for token in np.flatnonzero(likely) if token != BLANK_ID]


def _extended(
    beams: dict[Labels, _Prefix],
    frame: npt.NDArray[np.float64],
    tokens: list[int],
    most: int | None,
    language: NgramModel | None,
) -> dict[Labels, _Prefix]:
    """Every prefix after one more frame that may have written one of the tokens."""
    grown: dict[Labels, _Prefix] = defaultdict(_Prefix)
    for labels, prefix in beams.items():
        kept = grown[labels]
        kept.language = prefix.language
        kept.blank = _log_add(kept.blank, prefix.total + frame[BLANK_ID])
        if labels:
            kept.label = _log_add(kept.label, prefix.label + frame[labels[-1]])
        if not tokens or (most is not None and len(labels) >= most):
            continue
        follows = language.scores(labels) if language else None
        for token in tokens:
            # The same label twice needs a blank between: only those alignments may go on.
            before = prefix.blank if labels and token == labels[-1] else prefix.total
            longer = grown[(*labels, token)]
            longer.label = _log_add(longer.label, before + frame[token])
            longer.language = prefix.language + (follows[token] if follows is not None else 0.0)
    return grown


def _widest(beams: dict[Labels, _Prefix], width: int, fewest: int) -> dict[Labels, _Prefix]:
    """The best prefixes; those that are too short yet are no rivals of the longer ones."""
    possible = [item for item in beams.items() if item[1].total > _NEVER]
    ranked = sorted(possible or beams.items(), key=lambda item: (-item[1].score, item[0]))
    kept: dict[Labels, _Prefix] = {}
    seen: dict[int, int] = defaultdict(int)
    for labels, prefix in ranked:
        group = min(len(labels), fewest)
        if seen[group] < width:
            seen[group] += 1
            kept[labels] = prefix
    return kept


def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == _NEVER else a + math.log1p(math.exp(b - a))
