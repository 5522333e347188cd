"""Every family in the catalogue keeps the promises of the port.

A new family is tested the moment it is catalogued: it needs a toy corpus here, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

from toys import tone_speech
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError, UsageError
from voxmill.families.catalogue import FAMILIES, config_class, load_family
from voxmill.families.family import Artefact
from voxmill.packaging.bundle import PLACES, write_package
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig

TRAIN = TrainConfig(epochs=2, batch_seconds=8.0, buckets=2, warmup_steps=1, learning_rate=3e-3)


@dataclass(frozen=True)
class Toy:
    """A model section small enough for tests, and the corpus to train it on."""

    model: BaseModel
    write_prepared: Callable[[Path], object]
    sample: Callable[[], object]


def _tone() -> object:
    import numpy as np

    return tone_speech.say("ab cd", np.random.default_rng(0))


TOYS = {"ctc": Toy(tone_speech.MODEL, tone_speech.write_prepared, _tone)}


@pytest.fixture(params=sorted(FAMILIES), scope="module")
def name(request) -> str:
    """Each catalogued family in turn."""
    return request.param


@pytest.fixture(scope="module")
def prepared(name, tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(name)
    TOYS[name].write_prepared(folder)
    return folder


@pytest.fixture(scope="module")
def utterances(prepared) -> list[PreparedUtterance]:
    return read_lines(prepared / "utterances.jsonl", PreparedUtterance)


def kit_of(name: str, prepared: Path, utterances):
    return load_family(name).kit(
        prepared=prepared,
        utterances=utterances,
        model=TOYS[name].model,
        train=TRAIN,
        stop=lambda: False,
    )


def test_a_family_is_what_the_catalogue_says(name: str) -> None:
    """Name and version agree, and the toy is of the config class."""
    family = load_family(name)
    assert family.name == name
    assert family.version == FAMILIES[name].version
    assert isinstance(TOYS[name].model, config_class(name))


def test_a_start_is_refused_only_where_training_could_not_begin_with_it(name, tmp_path) -> None:
    """Nothing to begin with is fine; a foreign file that is no checkpoint is a data error."""
    load_family(name).check_start(tmp_path, TOYS[name].model)
    (tmp_path / "init").mkdir()
    torch.save({"a": torch.ones(2)}, tmp_path / "init" / "foreign.pt")
    load_family(name).check_start(tmp_path, TOYS[name].model)
    (tmp_path / "init" / "foreign.pt").write_bytes(b"no checkpoint")
    with pytest.raises(DataError):
        load_family(name).check_start(tmp_path, TOYS[name].model)


def test_labels_are_small_numbers_and_the_same_each_time(name, prepared, utterances) -> None:
    """Encoding is a function of tokenizer folder and text."""
    texts = [utterance.text for utterance in utterances]
    first = load_family(name).encode(prepared / "tokenizer", texts)
    assert first == load_family(name).encode(prepared / "tokenizer", texts)
    assert [tuple(u.labels) for u in utterances] == first
    assert all(isinstance(label, int) and label >= 0 for row in first for label in row)


def test_a_broken_tokenizer_folder_is_a_data_error(name, tmp_path) -> None:
    """Not whatever the library beneath raises."""
    with pytest.raises(DataError):
        load_family(name).encode(tmp_path, ["x"])


def test_longer_recordings_have_at_least_as_many_frames(name: str) -> None:
    """Frames grow with the seconds and start at none."""
    frames = [load_family(name).frames(s / 10, TOYS[name].model) for s in range(60)]
    assert frames == sorted(frames)
    assert frames[0] == 0 < frames[-1]


def test_batches_are_functions_of_their_place(name, prepared, utterances) -> None:
    """The same epoch and position give the same batch, in a fresh kit too."""
    first, second = (kit_of(name, prepared, utterances) for _ in range(2))
    for source in ("batches", "validation"):
        count = getattr(first, source).batch_count(0)
        assert count == getattr(second, source).batch_count(0) > 0
        for position in reversed(range(count)):
            a = vars(getattr(first, source).batch(0, position))
            b = vars(getattr(second, source).batch(0, position))
            for key, value in a.items():
                same = torch.equal(value, b[key]) if torch.is_tensor(value) else value == b[key]
                assert same, key


def test_a_learner_goes_on_from_its_state_bit_by_bit(name, prepared, utterances, tmp_path) -> None:
    """Saved by torch, loaded with the safe loader, the next step is the same to the last bit."""
    straight = kit_of(name, prepared, utterances)
    window = [straight.batches.batch(0, 0)]
    straight.learner.step(window)
    torch.save(straight.learner.state(), tmp_path / "state.pt")
    straight.learner.step(window)
    resumed = kit_of(name, prepared, utterances)
    resumed.learner.load(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed.learner.step(window)
    ours, theirs = straight.learner.state()["model"], resumed.learner.state()["model"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_validation_measures_the_watched_metric_and_changes_nothing(
    name, prepared, utterances
) -> None:
    """`train.watch` is among the figures, and the weights stay as they are."""
    kit = kit_of(name, prepared, utterances)
    before = {key: value.clone() for key, value in kit.learner.state()["model"].items()}
    batches = [kit.validation.batch(0, p) for p in range(kit.validation.batch_count(0))]
    figures = kit.learner.validate(batches)
    assert TRAIN.watch in figures
    assert figures == kit.learner.validate(batches)
    after = kit.learner.state()["model"]
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_what_is_trained_can_be_packaged_and_heard(name, prepared, utterances, tmp_path) -> None:
    """Checkpoint to artefacts to a transcript, each artefact by its name."""
    kit = kit_of(name, prepared, utterances)
    kit.learner.step([kit.batches.batch(0, 0)])
    store = CheckpointStore(tmp_path / "store", keep=1)
    store.save(1, {"learner": kit.learner.state()}, best=True)
    store.export("best", tmp_path / "best")
    family = load_family(name)
    pieces = family.export(checkpoint=tmp_path / "best", prepared=prepared, model=TOYS[name].model)
    sample = TOYS[name].sample()
    artefacts = write_package(
        pieces, tmp_path / "package", card="# Toy\n", batch=[sample, sample[: len(sample) // 2]]
    )
    assert {artefact.name for artefact in artefacts} == set(PLACES)
    for artefact in artefacts:
        heard = family.recogniser(artefact, decoder="greedy").transcribe(sample)
        assert isinstance(heard.text, str)
        assert heard.decoder.endswith("greedy")


def test_artefacts_and_decoders_that_there_are_not_are_refused(name, tmp_path) -> None:
    """Usage errors, before anything is opened."""
    with pytest.raises(UsageError):
        load_family(name).recogniser(
            Artefact(name="no-such", path=tmp_path, bytes=0), decoder="greedy"
        )
    with pytest.raises(UsageError):
        load_family(name).recogniser(Artefact(name="hf", path=tmp_path, bytes=0), decoder="no-such")


def test_a_checkpoint_that_is_none_is_a_data_error(name, prepared, tmp_path) -> None:
    """An empty folder instead of a checkpoint."""
    with pytest.raises(DataError):
        load_family(name).export(checkpoint=tmp_path, prepared=prepared, model=TOYS[name].model)
