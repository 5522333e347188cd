"""Batches hold what the corpus says, the same whenever they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from toys.packaged_tones import UNNORMALISED
from toys.tone_speech import MODEL, RATE_HZ, write_prepared
from voxmill.corpus.shards import ShardReader
from voxmill.families.ctc.config import VocabularyConfig
from voxmill.families.ctc.data import Speech, TrainingBatches, ValidationBatches
from voxmill.families.ctc.hearing import hearing_of
from voxmill.families.ctc.training import training_kit
from voxmill.signal.torch_mel import TorchLogMel
from voxmill.text.tokenizer import TextTokenizer
from voxmill.training.config import AugmentConfig, TrainConfig

AUGMENTED = AugmentConfig(
    speed=[0.9, 1.1], noise_probability=0.5, gain_db=6.0, time_masks=2, time_mask_share=0.1,
    frequency_masks=1, frequency_mask_bins=8, concatenate=3, equalise_db=6.0, vocal_tract=0.1,
    pad_seconds=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return folder, write_prepared(folder)


def speech(corpus, separator=(2,)) -> Speech:
    folder, utterances = corpus
    return Speech(
        utterances=utterances,
        reader=ShardReader(folder / "shards"),
        hearing=hearing_of(MODEL),
        separator=separator,
    )


def config(**values) -> TrainConfig:
    return TrainConfig(**{"batch_seconds": 4.0, "buckets": 4, **values})


def every(batches, epoch: int = 0):
    return [batches.batch(epoch, position) for position in range(batches.batch_count(epoch))]


def test_a_batch_is_the_same_in_any_order_of_asking(corpus) -> None:
    """What a batch holds depends on (epoch, position) only: a resumed run sees the same."""
    forwards = TrainingBatches(speech(corpus), config(augment=AUGMENTED))
    backwards = TrainingBatches(speech(corpus), config(augment=AUGMENTED))
    asked = [(epoch, p) for epoch in (0, 1) for p in range(forwards.batch_count(epoch))]
    first = {place: forwards.batch(*place) for place in asked}
    second = {place: backwards.batch(*place) for place in reversed(asked)}
    for place in asked:
        assert torch.equal(first[place].features, second[place].features), place
        assert torch.equal(first[place].labels, second[place].labels)
        assert first[place].texts == second[place].texts


def test_the_global_generators_are_left_alone(corpus) -> None:
    """Batches are made in a loading thread: they must not touch what dropout draws from."""
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    every(TrainingBatches(speech(corpus), config(augment=AUGMENTED)))
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])
    assert torch.equal(torch_before, torch.get_rng_state())


def test_training_covers_the_corpus_and_keeps_the_budget(corpus) -> None:
    """Every word is in some batch, and no batch exceeds its seconds, padding included."""
    batches = every(TrainingBatches(speech(corpus), config(augment=AUGMENTED)))
    words = sorted(word for batch in batches for text in batch.texts for word in text.split())
    assert words == sorted(word for u in corpus[1] for word in u.text.split())
    for batch in batches:
        longest = int(batch.frames.max()) / 100
        assert batch.utterances * longest <= 4.0 + 0.02 * batch.utterances


def test_labels_say_the_text_also_when_strung_together(corpus) -> None:
    """The labels of a batch are exactly those of its joined text, spaces included."""
    folder, _ = corpus
    tokenizer = TextTokenizer.from_folder(folder / "tokenizer")
    joined = speech(corpus, separator=tokenizer.encode(" "))
    for batch in every(TrainingBatches(joined, config(augment=AUGMENTED))):
        for text, labels, count in zip(batch.texts, batch.labels, batch.label_counts, strict=True):
            assert tuple(labels[:count].tolist()) == tokenizer.encode(text)


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_bpe_and_word_labels_need_no_separator(tmp_path, kind) -> None:
    """Both mark each word's start, so joined labels are those of the joined text."""
    marked = MODEL.model_copy(update={"vocabulary": VocabularyConfig(kind=kind, size=12)})
    utterances = write_prepared(tmp_path, model=marked)
    kit = training_kit(
        prepared=tmp_path, utterances=utterances, model=marked,
        train=config(augment=AugmentConfig(concatenate=3)), stop=lambda: False,
    )  # fmt: skip
    tokenizer = TextTokenizer.from_folder(tmp_path / "tokenizer")
    batches = every(kit.batches)
    assert any(len(text.split()) > 2 for batch in batches for text in batch.texts)
    for batch in batches:
        for text, labels, count in zip(batch.texts, batch.labels, batch.label_counts, strict=True):
            assert tuple(labels[:count].tolist()) == tokenizer.encode(text)


def test_plain_training_batches_are_the_recordings(corpus) -> None:
    """Without augmentation the features are those of the stored samples, to the bit."""
    heard = speech(corpus)
    by_text = {u.text: u for u in heard.utterances}
    mel = TorchLogMel(heard.hearing.frontend)
    for batch in every(TrainingBatches(heard, config())):
        expected, frames = mel([heard.reader.samples(by_text[text]) for text in batch.texts])
        assert torch.equal(batch.features, expected)
        assert torch.equal(batch.frames, frames)


def test_augmented_features_differ_from_epoch_to_epoch(corpus) -> None:
    """Each epoch hears another version; masks leave zeros inside the speech."""
    batches = TrainingBatches(speech(corpus), config(augment=AUGMENTED))
    sums = [sum(float(b.features.abs().sum()) for b in every(batches, epoch)) for epoch in (0, 1)]
    assert sums[0] != sums[1]
    inside = batches.batch(0, 0)
    row = inside.features[0, : inside.frames[0]]
    masked = AUGMENTED.model_copy(update={"time_masks": 0, "frequency_masks": 0})
    plain = TrainingBatches(speech(corpus), config(augment=masked)).batch(0, 0)
    assert (row == 0).sum() > (plain.features[0, : plain.frames[0]] == 0).sum()


def test_masks_hold_the_mean_where_features_are_not_normalised(corpus) -> None:
    """Zero would be a loud sound among log energies: a blank is as loud as the utterance."""
    heard = replace(speech(corpus), hearing=hearing_of(UNNORMALISED))
    augment = AugmentConfig(frequency_masks=3, frequency_mask_bins=12)
    masked = every(TrainingBatches(heard, config(augment=augment)))
    plain = every(TrainingBatches(heard, config()))
    blanks = 0
    for batch, whole in zip(masked, plain, strict=True):
        for row, frames in enumerate(batch.frames.tolist()):
            own = batch.features[row, :frames]
            constant = (own == own[0]).all(0) & (own[0] > whole.features.min())
            blanks += int(constant.sum())
            mean = whole.features[row, :frames].mean()
            assert torch.allclose(own[0, constant], mean.expand(int(constant.sum())), atol=1e-4)
    assert blanks > 0


@pytest.mark.parametrize("changed", [{"equalise_db": 9.0}, {"vocal_tract": 0.2}])
def test_each_distortion_of_colour_changes_what_is_heard(corpus, changed) -> None:
    """Another microphone and another throat give other features, of the same length."""
    heard = replace(speech(corpus), hearing=hearing_of(UNNORMALISED))
    plain = TrainingBatches(heard, config()).batch(0, 0)
    other = TrainingBatches(heard, config(augment=AugmentConfig(**changed))).batch(0, 0)
    assert torch.equal(plain.frames, other.frames)
    assert torch.equal(plain.labels, other.labels)
    assert (plain.features - other.features).abs().mean() > 0.1


def test_validation_is_whole_plain_and_sorted(corpus) -> None:
    """Every utterance once, unaugmented whatever the recipe says, the shortest batches first."""
    heard = speech(corpus)
    batches = ValidationBatches(heard, config(augment=AUGMENTED, max_seconds=0.1))
    found = every(batches)
    assert sorted(t for b in found for t in b.texts) == sorted(u.text for u in heard.utterances)
    longest = [int(batch.frames.max()) for batch in found]
    assert longest == sorted(longest)
    seconds = sum(batch.seconds for batch in found)
    assert seconds == pytest.approx(sum(u.samples for u in heard.utterances) / RATE_HZ)
    again = every(batches, epoch=3)
    assert all(torch.equal(a.features, b.features) for a, b in zip(found, again, strict=True))
