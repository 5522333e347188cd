"""The loss is CTC's, infinities are counted, error rates are those of the best path."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from voxmill.families.ctc.batch import CtcBatch, frames_needed, padded_labels
from voxmill.families.ctc.hearing import mel_hearing
from voxmill.families.ctc.objective import CtcObjective
from voxmill.signal.mel import MelSettings
from voxmill.text.tokenizer import train_characters

TOKENIZER = train_characters(["ab c"])  # <pad> <unk> a b c ▁
SUBSAMPLING = 4
HEARING = mel_hearing(MelSettings.for_rate(16000, 40), SUBSAMPLING)


class Scripted(nn.Module):
    """Says what it was given, whatever it hears."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, *, input_features, attention_mask):
        return type("Output", (), {"logits": self.logits})()


def batch_of(rows, frames, texts=None) -> CtcBatch:
    labels, counts = padded_labels(rows)
    mel = torch.tensor(frames) * SUBSAMPLING
    return CtcBatch(
        features=torch.zeros(len(rows), int(mel.max()) + 1, 40),
        frames=mel,
        labels=labels,
        label_counts=counts,
        texts=tuple(texts or [TOKENIZER.decode(row) for row in rows]),
        seconds=1.5,
    )


def logits(rows: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, frames, 6, generator=torch.Generator().manual_seed(seed))


def sure_of(*paths) -> torch.Tensor:
    return 20.0 * functional.one_hot(torch.tensor(paths), 6).float()


OBJECTIVE = CtcObjective(TOKENIZER, HEARING)


def test_the_loss_is_the_sum_of_ctc_over_the_batch() -> None:
    """Torch's own loss, utterance by utterance; the weight is the number of labels."""
    model, rows, frames = Scripted(logits(2, 9)), [(2, 3, 3), (4,)], [9, 6]
    found = OBJECTIVE.loss(model, batch_of(rows, frames))
    scores = model.logits.detach().log_softmax(-1)
    expected = sum(
        float(
            functional.ctc_loss(
                scores[i, :n], torch.tensor(row), torch.tensor(n), torch.tensor(len(row)),
                reduction="sum",
            )
        )
        for i, (row, n) in enumerate(zip(rows, frames, strict=True))
    )  # fmt: skip
    tail = -0.1 * float(scores[1, 6, 0])
    assert float(found.total.detach()) == pytest.approx(expected + tail, rel=1e-5)
    assert found.weight == 4
    assert found.values == {"utterances": 2.0, "audio_seconds": 1.5, "infinite_losses": 0.0}


def test_an_impossible_utterance_is_counted_and_teaches_nothing() -> None:
    """Five frames cannot write `aabb` (4 labels, 2 repeats): no loss, no weight, no gradient."""
    model = Scripted(logits(2, 6))
    found = OBJECTIVE.loss(model, batch_of([(2, 2, 3, 3), (4,)], [5, 6]))
    found.total.backward()
    assert found.values["infinite_losses"] == 1
    assert found.weight == 1
    assert math.isfinite(float(found.total.detach()))
    assert float(model.logits.grad[0, :5].abs().max()) == 0
    assert float(model.logits.grad[1].abs().max()) > 0


def test_exactly_enough_frames_are_enough() -> None:
    """Six frames are what `aabb` needs, and frames_needed says so."""
    assert frames_needed((2, 2, 3, 3)) == 6
    found = OBJECTIVE.loss(Scripted(logits(1, 6)), batch_of([(2, 2, 3, 3)], [6]))
    assert found.values["infinite_losses"] == 0
    assert found.weight == 4


def test_what_is_said_past_the_end_is_drawn_to_blank() -> None:
    """Transformers' pipeline reads one frame past the end: its gradient pulls towards blank."""
    model = Scripted(torch.zeros(2, 8, 6))
    OBJECTIVE.loss(model, batch_of([(2,), (3,)], [8, 5])).total.backward()
    past = model.logits.grad[1, 5]
    assert past[0] < 0 < past[2]
    assert float(model.logits.grad[1, 6:].abs().max()) == 0


def test_a_model_that_knows_the_text_scores_without_error() -> None:
    """Two utterances said right: no errors, hardly any loss, no blank in a blankless path."""
    model = Scripted(sure_of([2, 2, 0, 3, 5, 4], [4, 4, 4, 4, 0, 0]))
    batch = batch_of([(2, 3, 5, 4), (4,)], [6, 4], texts=["ab c", "c"])
    found = OBJECTIVE.validate(model, [batch])
    assert found["wer"] == found["cer"] == found["infinite_losses"] == 0
    assert found["token_accuracy_ratio"] == found["sequence_accuracy_ratio"] == 1
    assert found["loss"] < 1e-3
    assert found["blank_ratio"] == pytest.approx(1 / 10)
    assert found["token_diversity_ratio"] == 1.0
    assert found["frame_entropy_nats"] < 1e-3


def test_error_rates_are_of_the_whole_set() -> None:
    """One word of three wrong over two batches is a third, not the mean of the batches."""
    right = batch_of([(2, 5, 3)], [3], texts=["a b"])
    wrong = batch_of([(2,)], [3], texts=["a"])
    model = Scripted(sure_of([2, 5, 3]))
    found = OBJECTIVE.validate(model, [right, wrong])
    assert found["wer"] == pytest.approx(1 / 3)
    assert found["sequence_accuracy_ratio"] == 1 / 2
    assert found["token_accuracy_ratio"] == pytest.approx(1 - 2 / 4)  # two of four inserted


def test_a_collapsed_model_shows_itself() -> None:
    """Nothing but blanks: ratio 1, diversity 0, WER 1; undecided frames have entropy log V."""
    blanks = OBJECTIVE.validate(Scripted(sure_of([0] * 6)), [batch_of([(2, 3)], [6])])
    assert blanks["blank_ratio"] == 1
    assert blanks["token_diversity_ratio"] == 0
    assert blanks["wer"] == 1
    assert blanks["token_accuracy_ratio"] == blanks["sequence_accuracy_ratio"] == 0
    undecided = OBJECTIVE.validate(Scripted(torch.zeros(1, 6, 6)), [batch_of([(2, 3)], [6])])
    assert undecided["frame_entropy_nats"] == pytest.approx(math.log(6), rel=1e-5)
    assert undecided["frame_entropy_ratio"] == pytest.approx(1.0, rel=1e-5)


def test_every_figure_has_a_name_in_the_catalogue() -> None:
    """What the learner gives, journals and dashboards know."""
    from voxmill.training.figures import train_values, validation_records

    batch = batch_of([(2, 3)], [6])
    model = Scripted(logits(1, 7))
    list(validation_records(OBJECTIVE.validate(model, [batch])))
    assert train_values(OBJECTIVE.loss(model, batch).values) == {}
