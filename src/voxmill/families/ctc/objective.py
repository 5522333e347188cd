"""What the network is trained for (the CTC loss) and measured by (error rates, signs of collapse).

CTC: Graves et al., "Connectionist Temporal Classification", 2006.

Legend: B utterances, S output frames, V tokens, U labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from accelerate.utils import extract_model_from_parallel
from torch import nn
from torch.nn import functional

from voxmill.families.ctc.attention import attention_loss, attention_texts
from voxmill.families.ctc.batch import CtcBatch
from voxmill.families.ctc.decode import greedy
from voxmill.families.ctc.hearing import Hearing
from voxmill.families.ctc.network import log_probabilities
from voxmill.families.ctc.tally import AttentionTally, CtcTally
from voxmill.text.tokenizer import BLANK_ID, TextTokenizer
from voxmill.training.supervised import SummedLoss

_TAIL_WEIGHT = 0.1
_TWICE, _AND_MORE = 2, 10
"""A text of the attention decoder that is longer than this many times the longest is cut."""
_OF_EACH_DECODER = ("wer", "cer", "token_accuracy_ratio", "loss")


@dataclass(frozen=True, kw_only=True)
class _Losses:
    """The CTC loss of each utterance of a batch."""

    values: torch.Tensor
    """(B,) nats; 0 where the loss is infinite."""
    possible: torch.Tensor
    """(B,) whether the frames suffice for the labels; the loss is infinite where they do not."""


class CtcObjective:
    """CTC loss per label, joined by the attention decoder's where there is one; error rates."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        hearing: Hearing,
        *,
        ctc_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        """What is trained.

        Args:
            tokenizer: Vocabulary.
            hearing: What the network hears, and its pace.
            ctc_weight: Share of the CTC loss; what is left is the attention decoder's.
            label_smoothing: Share of an attention target's probability spread over all tokens.
        """
        self._tokenizer = tokenizer
        self._hearing = hearing
        self._ctc_weight = ctc_weight
        self._label_smoothing = label_smoothing

    def loss(self, model: nn.Module, batch: CtcBatch) -> SummedLoss:
        """The loss summed over the batch; its weight is the number of labels that it is over.

        An infinite loss (fewer frames than labels and repeats need) has no gradient: it adds
        neither loss nor weight, and is counted.
        """
        if self._ctc_weight == 1:
            scores = log_probabilities(model, self._hearing, batch.features, batch.frames)
            return self._ctc(scores, batch)
        given, answers = self._texts(batch)
        heard = self._hearing.arguments(batch.features, batch.frames)
        found = model(**heard, decoder_input_ids=given)
        attention = attention_loss(found.decoder_logits, answers, smoothing=self._label_smoothing)
        weight = float(batch.label_counts.sum())
        if self._ctc_weight == 0:
            # The head takes part with nothing, so that its parameters have gradients like others.
            total, values = attention + 0 * found.logits.sum(), _sizes(batch)
        else:
            ctc = self._ctc(torch.log_softmax(found.logits.float(), dim=-1), batch)
            total = self._ctc_weight * ctc.total + (1 - self._ctc_weight) * attention
            weight = ctc.weight
            losses = {"ctc_loss": ctc.total.detach(), "attention_loss": attention.detach()}
            values = {**ctc.values, **{name: float(value) for name, value in losses.items()}}
        return SummedLoss(total=total, weight=weight, values=values)

    @torch.no_grad()
    def validate(self, model: nn.Module, batches: Iterable[CtcBatch]) -> dict[str, float]:
        """Figures over all batches, of the branches that are trained.

        Returns:
            `loss` (nats a label), `wer`, `cer`, `token_accuracy_ratio` (1 - token error rate),
            `sequence_accuracy_ratio` (faultless utterances), `infinite_losses`, and the signs of
            collapse:
            `blank_ratio` (near 1: nothing but blanks), `token_diversity_ratio` (share of the
            tokens ever written), `frame_entropy_nats` (near log V: every frame undecided) and, as a
            share of log V, `frame_entropy_ratio`. `wer` and `cer` are those of CTC where it is
            trained; with both branches each has its own besides: `ctc_wer`, `attention_wer`, …
        """
        ctc = CtcTally() if self._ctc_weight > 0 else None
        attention = AttentionTally() if self._ctc_weight < 1 else None
        for batch in batches:
            if attention is not None:
                self._count_attention(attention, model, batch)
            if ctc is not None:
                scores = log_probabilities(model, self._hearing, batch.features, batch.frames)
                self._count(ctc, scores, batch)
        own = {} if ctc is None else ctc.figures(tokens=self._tokenizer.size)
        other = {} if attention is None else attention.figures()
        if not own or not other:
            return own or other
        each = {f"ctc_{name}": own[name] for name in _OF_EACH_DECODER}
        each |= {f"attention_{name}": other[name] for name in _OF_EACH_DECODER}
        loss = self._ctc_weight * own["loss"] + (1 - self._ctc_weight) * other["loss"]
        return {**own, **each, "loss": loss}

    def _ctc(self, scores: torch.Tensor, batch: CtcBatch) -> SummedLoss:
        losses = self._losses(scores, batch)
        total = losses.values.sum()
        if self._hearing.reads_past_end:
            total = total + _TAIL_WEIGHT * self._tail_loss(scores, batch)
        return SummedLoss(
            total=total,
            weight=float((batch.label_counts * losses.possible).sum()),
            values={
                **_sizes(batch),
                "infinite_losses": float((~losses.possible).sum()),
            },
        )

    def _texts(self, batch: CtcBatch) -> tuple[torch.Tensor, torch.Tensor]:
        return attention_texts(batch.labels, batch.label_counts, boundary=self._tokenizer.size)

    def _count_attention(self, tally: AttentionTally, model: nn.Module, batch: CtcBatch) -> None:
        given, answers = self._texts(batch)
        heard = self._hearing.arguments(batch.features, batch.frames)
        scores = model(**heard, decoder_input_ids=given).decoder_logits
        tally.loss += float(attention_loss(scores, answers, smoothing=0.0))
        tally.labels += int(batch.label_counts.sum())
        longest = _TWICE * int(batch.label_counts.max()) + _AND_MORE
        read = extract_model_from_parallel(model).attend(**heard, max_labels=longest)
        for place, (said, row) in enumerate(zip(_label_rows(batch), read, strict=True)):
            tally.texts.add(batch.texts[place], self._tokenizer.decode(row), said, row)

    def _frames(self, batch: CtcBatch) -> torch.Tensor:
        """(B,) valid output frames."""
        return self._hearing.output_frames(batch.frames)

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
            (frames < scores.shape[1]) & (batch.frames % self._hearing.subsampling == 0)
        )
        rows = rows.squeeze(1)
        return -scores[rows, frames[rows], BLANK_ID].sum()

    def _count(self, tally: CtcTally, scores: torch.Tensor, batch: CtcBatch) -> None:
        losses = self._losses(scores, batch)
        tally.loss += float(losses.values.sum())
        tally.labels += int((batch.label_counts * losses.possible).sum())
        tally.infinite += int((~losses.possible).sum())
        said = _label_rows(batch)
        frames = self._frames(batch).tolist()
        for place, row in enumerate(scores.cpu()):
            valid = row[: frames[place]]  # (S', V)
            best = valid.argmax(-1)
            tally.frames += frames[place]
            tally.blanks += int((best == BLANK_ID).sum())
            tally.entropy -= float((valid.exp() * valid).sum())
            tally.written.update(best.unique().tolist())
            tokens = greedy(valid.numpy())
            text = self._tokenizer.decode(tokens)
            tally.texts.add(batch.texts[place], text, said[place], tokens)


def _sizes(batch: CtcBatch) -> dict[str, float]:
    return {"utterances": float(batch.utterances), "audio_seconds": batch.seconds}


def _label_rows(batch: CtcBatch) -> list[list[int]]:
    """The labels of each utterance, without padding."""
    counts = batch.label_counts.tolist()
    return [row[:count] for row, count in zip(batch.labels.tolist(), counts, strict=True)]
