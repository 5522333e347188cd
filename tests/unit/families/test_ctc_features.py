"""The CTC family on arrays: what the network hears in training, and how many frames it gives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from toys.directions import DIMENSIONS, FRAME_SECONDS, random_text, signal
from voxmill.corpus.feature_shards import FeatureShardWriter, open_shards
from voxmill.corpus.features import read_settings, write_settings
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig, FeatureInput
from voxmill.families.ctc.data import Speech, TrainingBatches, ValidationBatches
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.hearing import hearing_of
from voxmill.families.ctc.network import build, log_probabilities
from voxmill.signal.standardise import measured
from voxmill.training.config import AugmentConfig, TrainConfig


def model(subsampling: int = 2, dimensions: int = DIMENSIONS) -> CtcModelConfig:
    return CtcModelConfig(
        input=FeatureInput(
            kind="features", dimensions=dimensions, frame_seconds=FRAME_SECONDS
        ),
        encoder=ConformerEncoder(
            d_model=16, layers=1, heads=2, d_ff=16, kernel=3, subsampling_channels=4,
            subsampling=subsampling,
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PreparedUtterance]]:
    """As much of prepare's output as batches need."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(5)
    texts = [random_text(rng) for _ in range(12)]
    arrays = [signal(text, rng) for text in texts]
    CtcFamily().tokenizer(texts, model(), folder / "tokenizer")
    labels = CtcFamily().encode(folder / "tokenizer", texts)
    with FeatureShardWriter(folder / "shards", dimensions=DIMENSIONS, max_bytes=10**6) as writer:
        places = [writer.add(array) for array in arrays]
    settings = measured(arrays, dimensions=DIMENSIONS, frame_seconds=FRAME_SECONDS)
    write_settings(folder, settings)
    return folder, [
        PreparedUtterance(
            id=f"u{number:02d}", split="train", shard=place.shard, text=text, text_original=text,
            offset_samples=place.offset_samples, samples=place.samples, labels=own,
            speaker="s", subset="all", part="source",
        )
        for number, (place, text, own) in enumerate(zip(places, texts, labels, strict=True))
    ]  # fmt: skip


def speech(prepared: tuple[Path, list[PreparedUtterance]]) -> Speech:
    folder, utterances = prepared
    return Speech(
        utterances=utterances,
        reader=open_shards(folder),
        hearing=hearing_of(model(), read_settings(folder)),
        separator=(2,),
    )


@pytest.mark.parametrize("subsampling", [2, 4, 8])
def test_output_frames_are_steps_by_subsampling_rounded_up(subsampling: int) -> None:
    """As counted before training, as the network gives them, and alone as in a batch."""
    config = model(subsampling, dimensions=8)
    network = build(config, tokens=5, features=measured([], dimensions=8, frame_seconds=0.02))
    network.module.eval()
    lengths = (1, 2, 7, 8, 9, 33)
    frames = torch.tensor(lengths)
    inside = torch.arange(max(lengths)) < frames[:, None]
    rows = torch.randn(len(lengths), max(lengths), 8) * inside[..., None]
    together = log_probabilities(network.module, network.hearing, rows, frames)
    for row, steps in enumerate(lengths):
        expected = math.ceil(steps / subsampling)
        assert CtcFamily().frames(steps * FRAME_SECONDS, config) == expected
        alone = log_probabilities(
            network.module, network.hearing, rows[row : row + 1, :steps], frames[row : row + 1]
        )
        assert alone.shape[1] == expected
        torch.testing.assert_close(alone[0], together[row, :expected], rtol=1e-4, atol=1e-4)


def test_validation_hears_standardised_arrays(prepared) -> None:
    """Zero mean and unit variance over all steps, zero past each end."""
    batches = ValidationBatches(speech(prepared), TrainConfig(batch_seconds=8.0))
    values = []
    for position in range(batches.batch_count(0)):
        batch = batches.batch(0, position)
        for row, frames in zip(batch.features, batch.frames, strict=True):
            values.append(row[:frames])
            assert not row[frames:].any()
        assert batch.seconds == pytest.approx(float(batch.frames.sum()) * FRAME_SECONDS)
    together = torch.cat(values)
    torch.testing.assert_close(together.mean(0), torch.zeros(DIMENSIONS), atol=1e-3, rtol=0)
    torch.testing.assert_close(together.std(0), torch.ones(DIMENSIONS), atol=1e-2, rtol=0)


def test_arrays_strung_together_have_silence_between_them_and_all_labels(prepared) -> None:
    """Silence is the mean, which is zero to the network."""
    train = TrainConfig(batch_seconds=8.0, augment=AugmentConfig(concatenate=3))
    data = speech(prepared)
    batches = TrainingBatches(data, train)
    by_text = {one.text: one for one in data.utterances}
    strung = 0
    for position in range(batches.batch_count(0)):
        batch = batches.batch(0, position)
        for row, (text, count) in enumerate(zip(batch.texts, batch.label_counts, strict=True)):
            if text in by_text:
                continue
            strung += 1
            heard = batch.features[row, : batch.frames[row]]
            assert (heard == 0).all(1).any()
            assert int(count) == len(text)
    assert strung


def test_masks_blank_time_and_dimensions_of_arrays(prepared) -> None:
    """With the mean, and the same each time that a batch is asked for."""
    augment = AugmentConfig(
        time_masks=2, time_mask_share=0.3, frequency_masks=2, frequency_mask_bins=3
    )
    batches = TrainingBatches(speech(prepared), TrainConfig(batch_seconds=8.0, augment=augment))
    first = batches.batch(0, 0)
    inside = [row[:n] for row, n in zip(first.features, first.frames, strict=True)]
    assert any((row == 0).all(0).any() for row in inside)
    assert any((row == 0).all(1).any() for row in inside)
    torch.testing.assert_close(batches.batch(0, 0).features, first.features, rtol=0, atol=0)


def test_a_model_and_a_corpus_of_unlike_inputs_are_refused() -> None:
    """Before anything is trained on the wrong thing."""
    with pytest.raises(DataError, match=r"features with 6 dimensions.*has none"):
        build(model(), tokens=5)
    measured_ = measured([], dimensions=8, frame_seconds=0.02)
    with pytest.raises(DataError, match=r"has 8\. Run ingest"):
        build(model(), tokens=5, features=measured_)
    with pytest.raises(DataError, match=r"audio with no dimensions.*has 8"):
        build(CtcModelConfig(), tokens=5, features=measured_)
