"""What the network is trained for (the CTC loss) and measured by (error rates, signs of collapse).

CTC: Graves et al., "Connectionist Temporal Classification", 2006.

Legend: B utterances, S output frames, V tokens, U labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from voxmill.families.ctc.batch import CtcBatch
from voxmill.families.ctc.decode import greedy
from voxmill.families.ctc.model import log_probabilities
from voxmill.scoring.error_rates import score_utterances, total
from voxmill.text.tokenizer import BLANK_ID, TextTokenizer
from voxmill.training.supervised import SummedLoss

_TAIL_WEIGHT = 0.1


@dataclass(frozen=True, kw_only=True)
class _Losses:
    """The CTC loss of each utterance of a batch."""

    values: torch.Tensor
    """(B,) nats; 0 where the loss is infinite."""
    possible: torch.Tensor
    """(B,) whether the frames suffice for the labels; the loss is infinite where they do not."""


class CtcObjective:
    """CTC loss per label; word and character error rates of the best path."""

    def __init__(self, tokenizer: TextTokenizer, *, subsampling: int) -> None:
        self._tokenizer = tokenizer
        self._subsampling = subsampling

    def loss(self, model: nn.Module, batch: CtcBatch) -> SummedLoss:
        """The loss summed over the batch; its weight is the number of labels that it is over.

        An infinite loss (fewer frames than labels and repeats need) has no gradient: it adds
        neither loss nor weight, and is counted.
        """
        scores = log_probabilities(model, batch.features, batch.mel_frames)  # (B, S, V)
        losses = self._losses(scores, batch)
        tail = _TAIL_WEIGHT * self._tail_loss(scores, batch)
        return SummedLoss(
            total=losses.values.sum() + tail,
            weight=float((batch.label_counts * losses.possible).sum()),
            values={
                "utterances": float(batch.utterances),
                "audio_seconds": batch.seconds,
                "infinite_losses": float((~losses.possible).sum()),
            },
        )

    @torch.no_grad()
    def validate(self, model: nn.Module, batches: Iterable[CtcBatch]) -> dict[str, float]:
        """Figures over all batches.

        Returns:
            `loss` (nats a label), `wer`, `cer`, `token_accuracy_ratio` (1 - token error rate),
            `sequence_accuracy_ratio` (faultless utterances), `infinite_losses`, and the signs of
            collapse:
            `blank_ratio` (near 1: nothing but blanks), `token_diversity_ratio` (share of the
            tokens ever written), `frame_entropy_nats` (near log V: every frame undecided) and, as a
            share of log V, `frame_entropy_ratio`.
        """
        tally = _Tally()
        for batch in batches:
            scores = log_probabilities(model, batch.features, batch.mel_frames)
            self._count(tally, scores, batch)
        return tally.figures(tokens=self._tokenizer.size)

    def _frames(self, batch: CtcBatch) -> torch.Tensor:
        """(B,) valid output frames."""
        return (batch.mel_frames + self._subsampling - 1) // self._subsampling

    def _losses(self, scores: torch.Tensor, batch: CtcBatch) -> _Losses:
        frames = self._frames(batch)
        values = functional.ctc_loss(
            scores.transpose(0, 1),  # (S, B, V)
            batch.labels,
            frames,
            batch.label_counts,
            blank=BLANK_ID,
            reduction="none",
            zero_infinity=True,
        )
        repeats = (batch.labels[:, 1:] == batch.labels[:, :-1]) & (batch.labels[:, 1:] != BLANK_ID)
        needed = batch.label_counts + repeats.sum(1)
        return _Losses(values=values, possible=frames >= needed)

    def _tail_loss(self, scores: torch.Tensor, batch: CtcBatch) -> torch.Tensor:
        """How far the first frame past each end is from a blank, summed.

        transformers' pipeline decodes one mel frame more than there is speech: where the speech
        fills its last output frame, that frame is read unmasked. Without this term 2 of 85 such
        spoken digits gained a letter (`one` became `onee`), with it none did.
        """
        frames = self._frames(batch)
        rows = torch.nonzero(
            (frames < scores.shape[1]) & (batch.mel_frames % self._subsampling == 0)
        )
        rows = rows.squeeze(1)
        return -scores[rows, frames[rows], BLANK_ID].sum()

    def _count(self, tally: _Tally, scores: torch.Tensor, batch: CtcBatch) -> None:
        losses = self._losses(scores, batch)
        tally.loss += float(losses.values.sum())
        tally.labels += int((batch.label_counts * losses.possible).sum())
        tally.infinite += int((~losses.possible).sum())
        tally.references += batch.texts
        tally.tokens_said += [
            _as_words(row[:count])
            for row, count in zip(batch.labels.tolist(), batch.label_counts.tolist(), strict=True)
        ]
        for row, frames in zip(scores.cpu(), self._frames(batch).tolist(), strict=True):
            valid = row[:frames]  # (S', V)
            best = valid.argmax(-1)
            tally.frames += frames
            tally.blanks += int((best == BLANK_ID).sum())
            tally.entropy -= float((valid.exp() * valid).sum())
            tally.written.update(best.unique().tolist())
            tokens = greedy(valid.numpy())
            tally.hypotheses.append(self._tokenizer.decode(tokens))
            tally.tokens_heard.append(_as_words(tokens))


@dataclass
class _Tally:
    """Sums over a validation set."""

    loss: float = 0.0
    labels: int = 0
    infinite: int = 0
    frames: int = 0
    blanks: int = 0
    entropy: float = 0.0
    written: set[int] = field(default_factory=set)
    references: tuple[str, ...] = ()
    hypotheses: list[str] = field(default_factory=list)
    tokens_said: list[str] = field(default_factory=list)
    tokens_heard: list[str] = field(default_factory=list)

    def figures(self, *, tokens: int) -> dict[str, float]:
        """Rates of the sums; the tokens that could be written leave out blank and unknown."""
        scores = score_utterances(self.references, self.hypotheses)
        score = total(scores)
        token_errors = total(score_utterances(self.tokens_said, self.tokens_heard)).words
        written = len(self.written - {BLANK_ID})
        return {
            "loss": self.loss / max(1, self.labels),
            "wer": score.wer,
            "cer": score.cer,
            "token_accuracy_ratio": max(0.0, 1.0 - token_errors.rate),
            "sequence_accuracy_ratio": sum(not s.characters.errors for s in scores)
            / max(1, len(scores)),
            "infinite_losses": float(self.infinite),
            "blank_ratio": self.blanks / max(1, self.frames),
            "token_diversity_ratio": min(1.0, written / max(1, tokens - 2)),
            "frame_entropy_nats": self.entropy / max(1, self.frames),
            "frame_entropy_ratio": self.entropy / max(1, self.frames) / math.log(tokens),
        }


def _as_words(tokens: Iterable[int]) -> str:
    """Token ids as a text whose words they are: one scorer does for both."""
    return " ".join(str(int(token)) for token in tokens)
