"""Dynamic truncation: what the loss sees is cut in sound and labels alike, and counted."""

from __future__ import annotations

import pytest

from toys.tone_speech import MODEL, RATE_HZ, write_prepared
from voxmill.families.ctc.family import CtcFamily
from voxmill.training.config import TrainConfig

MOST_SECONDS = 0.6
TRAIN = TrainConfig(
    seed=3, batch_seconds=16.0, buckets=4, threads=1, max_seconds=MOST_SECONDS, too_long="truncate"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return folder, write_prepared(folder, utterances=60)


def rows_of(kit) -> list[tuple[str, tuple[int, ...]]]:
    """Text and labels of each utterance of the first epoch, as the loss gets them."""
    batches = [kit.batches.batch(0, place) for place in range(kit.batches.batch_count(0))]
    return [
        (text, tuple(labels[:count].tolist()))
        for batch in batches
        for text, labels, count in zip(batch.texts, batch.labels, batch.label_counts, strict=True)
    ]


def test_the_loss_sees_the_first_labels_of_the_first_seconds(corpus) -> None:
    """As large a share of the labels as of the sound, from the start of both; rounded down."""
    folder, utterances = corpus
    kit = CtcFamily().kit(
        prepared=folder, utterances=utterances, model=MODEL, train=TRAIN, stop=lambda: False
    )
    training = [one for one in utterances if one.split == "train"]
    most = int(MOST_SECONDS * RATE_HZ)
    expected = [
        (one.text, one.labels[: int(len(one.labels) * min(1.0, most / one.samples))])
        for one in training
    ]
    assert sorted(rows_of(kit)) == sorted(expected)
    cut = sum(one.samples > most for one in training)
    assert 0 < cut < len(training)
    assert kit.notes["truncated_utterances"] == cut
    seconds = sum(kit.batches.batch(0, n).seconds for n in range(kit.batches.batch_count(0)))
    assert seconds == pytest.approx(sum(min(one.samples, most) for one in training) / RATE_HZ)


def test_what_is_measured_on_is_never_cut(corpus) -> None:
    """A validation that leaves out the ends of long recordings would flatter."""
    folder, utterances = corpus
    kit = CtcFamily().kit(
        prepared=folder, utterances=utterances, model=MODEL, train=TRAIN, stop=lambda: False
    )
    places = range(kit.validation.batch_count(0))
    counts = [int(n) for place in places for n in kit.validation.batch(0, place).label_counts]
    validation = [one for one in utterances if one.split == "validation"]
    assert sorted(counts) == sorted(len(one.labels) for one in validation)
