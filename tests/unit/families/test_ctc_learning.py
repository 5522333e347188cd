"""The family really learns: a language of tones, in seconds, and the same way each time."""

from __future__ import annotations

import pytest
import torch

from toys.tone_speech import MODEL, write_prepared
from voxmill.errors import DataError
from voxmill.families.ctc.family import CtcFamily
from voxmill.training.config import TrainConfig

TRAIN = TrainConfig(
    seed=3, epochs=28, batch_seconds=16.0, learning_rate=4e-3, warmup_steps=4, buckets=4, threads=1
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return folder, write_prepared(folder, utterances=60)


def kit_of(corpus, train: TrainConfig = TRAIN):
    folder, utterances = corpus
    return CtcFamily().kit(
        prepared=folder, utterances=utterances, model=MODEL, train=train, stop=lambda: False
    )


def every(source, epoch: int):
    return [source.batch(epoch, position) for position in range(source.batch_count(epoch))]


def test_a_tiny_conformer_learns_a_language_of_tones(corpus) -> None:
    """Letters it has heard as tones, in utterances it has not: most of them right."""
    kit = kit_of(corpus)
    before = kit.learner.validate(every(kit.validation, 0))
    for epoch in range(TRAIN.epochs):
        for batch in every(kit.batches, epoch):
            kit.learner.step([batch])
    after = kit.learner.validate(every(kit.validation, 0))
    assert before["cer"] > 0.5
    assert after["cer"] < 0.2
    assert after["loss"] < before["loss"] / 4
    assert after["infinite_losses"] == 0


def test_the_same_seed_builds_the_same_network(corpus) -> None:
    """Weights come from train.seed, not from whatever was drawn before."""
    torch.manual_seed(99)
    first = kit_of(corpus).learner.state()["model"]
    torch.rand(7)
    second = kit_of(corpus).learner.state()["model"]
    other = kit_of(corpus, TRAIN.model_copy(update={"seed": 4})).learner.state()["model"]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_notes_count_what_was_left_out(corpus) -> None:
    """Parameters, kept and skipped utterances and padding stand in the report."""
    kit = kit_of(corpus, TRAIN.model_copy(update={"max_labels": 4}))
    training = [u for u in corpus[1] if u.split == "train"]
    long = sum(len(u.labels) > 4 for u in training)
    assert 0 < long < len(training)
    assert kit.notes["skipped_utterances"] == long
    assert kit.notes["utterances"] == len(training) - long
    assert kit.notes["parameters"] == sum(
        tensor.numel() for name, tensor in kit.learner.state()["model"].items()
        if "running" not in name and "num_batches" not in name
    )  # fmt: skip
    assert 0 <= kit.notes["padding_share"] < 0.5


def test_a_subset_is_trained_on_when_asked(corpus) -> None:
    """train.num_samples limits what an epoch holds."""
    kit = kit_of(corpus, TRAIN.model_copy(update={"num_samples": 5}))
    assert sum(batch.utterances for batch in every(kit.batches, 0)) == 5


def test_truncated_utterances_are_cut_in_sound_and_labels(corpus) -> None:
    """`too_long: truncate` shortens both; nothing exceeds the caps and nothing is skipped."""
    caps = {"max_seconds": 0.6, "too_long": "truncate"}
    kit = kit_of(corpus, TRAIN.model_copy(update=caps))
    batches = every(kit.batches, 0)
    assert kit.notes["truncated_utterances"] > 0
    assert kit.notes["skipped_utterances"] == 0
    assert max(int(batch.frames.max()) for batch in batches) <= 60
    for batch in batches:
        for labels, count in zip(batch.labels, batch.label_counts, strict=True):
            assert (labels[:count] > 0).all()


@pytest.mark.parametrize("lost", ["train", "validation"])
def test_an_empty_split_is_refused_by_name(corpus, lost: str) -> None:
    """Training without either split is a data error with the field to change."""
    folder, utterances = corpus
    kept = [u for u in utterances if u.split != lost]
    with pytest.raises(DataError, match=rf"Split `{lost}` is empty.*prepare.split"):
        kit_of((folder, kept))


def test_caps_that_leave_nothing_are_refused(corpus) -> None:
    """The message names the caps that did it."""
    with pytest.raises(DataError, match=r"longer than train.max_seconds 0.01"):
        kit_of(corpus, TRAIN.model_copy(update={"max_seconds": 0.01}))
