"""Sums over a validation set, and the figures made of them: error rates and signs of collapse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from voxmill.scoring.error_rates import score_utterances, total
from voxmill.text.tokenizer import BLANK_ID


@dataclass
class Texts:
    """What was said beside what a decoder read."""

    references: list[str] = field(default_factory=list)
    hypotheses: list[str] = field(default_factory=list)
    tokens_said: list[str] = field(default_factory=list)
    tokens_heard: list[str] = field(default_factory=list)

    def add(
        self, reference: str, hypothesis: str, said: Sequence[int], heard: Sequence[int]
    ) -> None:
        """Takes in one utterance, as text and as token ids."""
        self.references.append(reference)
        self.hypotheses.append(hypothesis)
        self.tokens_said.append(_as_words(said))
        self.tokens_heard.append(_as_words(heard))

    def figures(self) -> dict[str, float]:
        """`wer`, `cer`, `token_accuracy_ratio`, `sequence_accuracy_ratio`."""
        scores = score_utterances(self.references, self.hypotheses)
        score = total(scores)
        token_errors = total(score_utterances(self.tokens_said, self.tokens_heard)).words
        faultless = sum(not one.characters.errors for one in scores)
        return {
            "wer": score.wer,
            "cer": score.cer,
            "token_accuracy_ratio": max(0.0, 1.0 - token_errors.rate),
            "sequence_accuracy_ratio": faultless / max(1, len(scores)),
        }


@dataclass
class CtcTally:
    """What the CTC head did over a validation set."""

    loss: float = 0.0
    labels: int = 0
    infinite: int = 0
    frames: int = 0
    blanks: int = 0
    entropy: float = 0.0
    written: set[int] = field(default_factory=set)
    texts: Texts = field(default_factory=Texts)

    def figures(self, *, tokens: int) -> dict[str, float]:
        """Rates of the sums; the tokens that could be written leave out blank and unknown."""
        written = len(self.written - {BLANK_ID})
        return {
            "loss": self.loss / max(1, self.labels),
            **self.texts.figures(),
            "infinite_losses": float(self.infinite),
            "blank_ratio": self.blanks / max(1, self.frames),
            "token_diversity_ratio": min(1.0, written / max(1, tokens - 2)),
            "frame_entropy_nats": self.entropy / max(1, self.frames),
            "frame_entropy_ratio": self.entropy / max(1, self.frames) / math.log(tokens),
        }


@dataclass
class AttentionTally:
    """What the attention decoder did over a validation set."""

    loss: float = 0.0
    labels: int = 0
    texts: Texts = field(default_factory=Texts)

    def figures(self) -> dict[str, float]:
        """Rates of the sums."""
        return {"loss": self.loss / max(1, self.labels), **self.texts.figures()}


def _as_words(tokens: Iterable[int]) -> str:
    """Token ids as a text whose words they are: one scorer does for both."""
    return " ".join(str(int(token)) for token in tokens)
