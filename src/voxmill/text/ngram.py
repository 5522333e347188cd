"""An n-gram language model over tokens, counted on training transcripts: what CTC cannot know.

CTC takes its output frames for independent of each other, so a small model that heard everything
still writes *hapened*. How often each token follows the tokens before it, in the transcripts that
were trained on anyway, puts much of that right. Probabilities after Witten and Bell, "The
Zero-Frequency Problem", 1991: a context that was followed by many different tokens trusts the
shorter one below it more.

Legend: V tokens.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voxmill.errors import DataError
from voxmill.text.tokenizer import BLANK_ID

FILE = "language_model.npz"
"""In the folder of each artefact that has one."""

Tokens = tuple[int, ...]
_BEGIN = BLANK_ID
"""Stands before the first token; no transcript has a blank."""
_SETTINGS = "settings"


class NgramModel:
    """How likely each token is after those before it, and how much a decoder heeds that."""

    def __init__(
        self,
        counts: Mapping[Tokens, Mapping[int, int]],
        *,
        order: int,
        tokens: int,
        weight: float,
        token_bonus: float,
    ) -> None:
        """Takes counts as they are.

        Args:
            counts: How often each token followed each context of up to `order` - 1 tokens.
            order: Tokens of the longest n-gram.
            tokens: V.
            weight: What a log-probability of it counts beside one of the network.
            token_bonus: Added for each token written, in nats: n-grams alone prefer short answers.
        """
        self._counts = counts
        self._order = order
        self._tokens = tokens
        self._weight = weight
        self._bonus = token_bonus
        self._known: dict[Tokens, npt.NDArray[np.float64]] = {}

    @classmethod
    def counted(
        cls,
        transcripts: Iterable[Sequence[int]],
        *,
        order: int,
        tokens: int,
        weight: float,
        token_bonus: float,
    ) -> NgramModel:
        """Counts transcripts, given as token ids; the other arguments are those of the class."""
        counts: dict[Tokens, Counter[int]] = defaultdict(Counter)
        for transcript in transcripts:
            line = (_BEGIN, *transcript)
            for place in range(1, len(line)):
                for length in range(min(order - 1, place) + 1):
                    counts[line[place - length : place]][line[place]] += 1
        return cls(counts, order=order, tokens=tokens, weight=weight, token_bonus=token_bonus)

    def scores(self, written: Tokens) -> npt.NDArray[np.float64]:
        """(V,) what each token adds to an answer that begins with `written`, in nats."""
        scores = self._weight * np.log(self.probabilities(written)) + self._bonus
        return np.asarray(scores, dtype=np.float64)

    def probabilities(self, written: Tokens) -> npt.NDArray[np.float64]:
        """(V,) of the token that follows; they add up to 1."""
        context = (_BEGIN, *written)[-(self._order - 1) :] if self._order > 1 else ()
        return self._probabilities(context)

    def _probabilities(self, context: Tokens) -> npt.NDArray[np.float64]:
        followers = self._counts.get(context)
        if followers is None:
            shorter = context[1:]
            return self._probabilities(shorter) if context else self._even()
        known = self._known.get(context)
        if known is None:
            below = self._probabilities(context[1:]) if context else self._even()
            seen, different = sum(followers.values()), len(followers)
            known = below * different / (seen + different)
            for token, count in followers.items():
                known[token] += count / (seen + different)
            self._known[context] = known
        return known

    def _even(self) -> npt.NDArray[np.float64]:
        return np.full(self._tokens, 1.0 / self._tokens)

    def write(self, file: Path) -> None:
        """Writes the counts as arrays, one row for each n-gram; the same counts, the same bytes."""
        rows: dict[int, list[Tokens]] = defaultdict(list)
        for context in sorted(self._counts):
            for token, count in sorted(self._counts[context].items()):
                rows[len(context) + 1].append((*context, token, count))
        arrays: dict[str, Any] = {
            f"{n}-grams": np.array(lines, dtype=np.int32) for n, lines in rows.items()
        }
        settings = {
            "order": self._order,
            "tokens": self._tokens,
            "weight": self._weight,
            "token_bonus": self._bonus,
        }
        arrays[_SETTINGS] = np.array(json.dumps(settings))
        np.savez_compressed(file, **arrays)

    @classmethod
    def read(cls, file: Path) -> NgramModel:
        """Reads what `write` wrote.

        Raises:
            DataError: There is no such file, or it is no language model.
        """
        if not file.is_file():
            raise DataError(
                f"Language model {file}: there is none in this package. Set "
                "package.language_model.order in the recipe and run package, or decode without -lm."
            )
        counts: dict[Tokens, dict[int, int]] = defaultdict(dict)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                settings = json.loads(str(arrays[_SETTINGS]))
                for name in set(arrays.files) - {_SETTINGS}:
                    for *context, token, count in arrays[name].tolist():
                        counts[tuple(context)][token] = count
            return cls(
                counts,
                order=int(settings["order"]),
                tokens=int(settings["tokens"]),
                weight=float(settings["weight"]),
                token_bonus=float(settings["token_bonus"]),
            )
        except Exception as error:
            # zipfile, zlib, numpy and json each raise classes of their own for a damaged file
            raise DataError(
                f"Language model {file} cannot be read: {error}. Run package."
            ) from error
