"""A tiny model of the tone language as the stages train and package leave it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from toys.tone_speech import MODEL, RATE_HZ, say, write_prepared
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.family import Artefact, Exportable
from voxmill.packaging.bundle import write_package
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig


@dataclass(frozen=True)
class PackagedTones:
    """Prepared corpus, checkpoint folder and package of one short training."""

    prepared: Path
    checkpoint: Path
    package: Path
    pieces: Exportable
    artefacts: tuple[Artefact, ...]

    def artefact(self, name: str) -> Artefact:
        """The artefact of that name."""
        return next(artefact for artefact in self.artefacts if artefact.name == name)


_MADE: dict[CtcModelConfig, PackagedTones] = {}

UNNORMALISED = MODEL.model_copy(update={"normalise": "none"})
"""The tone language heard through the front end without normalisation."""


def made_once(folder: Path, model: CtcModelConfig = MODEL) -> PackagedTones:
    """One training of each model for every test of a session that only reads."""
    if model not in _MADE:
        _MADE[model] = train_and_package(folder, model=model)
    return _MADE[model]


def train_and_package(
    folder: Path,
    *,
    epochs: int = 28,
    model: CtcModelConfig = MODEL,
    base: Path | None = None,
) -> PackagedTones:
    """Trains for a few seconds and packages; `base` is the folder of a pretrained encoder."""
    torch.set_num_threads(1)
    prepared = folder / "prepare"
    if base is not None:
        shutil.copytree(base, prepared / "base")
    train_toy(prepared, folder / "train" / "best", epochs=epochs, model=model)
    pieces = CtcFamily().export(
        checkpoint=folder / "train" / "best", prepared=prepared, model=model
    )
    batch = spoken(rate_hz=model.sample_rate_hz)[:2]
    artefacts = write_package(pieces, folder / "package", card="# Tones\n", batch=batch)
    return PackagedTones(prepared, folder / "train" / "best", folder / "package", pieces, artefacts)


def train_toy(
    prepared: Path, checkpoint: Path, *, epochs: int, model: CtcModelConfig = MODEL
) -> None:
    """Writes a prepared corpus and the best checkpoint of a short training on it."""
    utterances = write_prepared(prepared, utterances=60, model=model)
    train = TrainConfig(
        seed=3, epochs=epochs, batch_seconds=16.0, learning_rate=4e-3, warmup_steps=4, buckets=4
    )
    kit = CtcFamily().kit(
        prepared=prepared, utterances=utterances, model=model, train=train, stop=lambda: False
    )
    for epoch in range(epochs):
        for position in range(kit.batches.batch_count(epoch)):
            kit.learner.step([kit.batches.batch(epoch, position)])
    store = CheckpointStore(checkpoint.parent / "store", keep=1)
    store.save(1, {"learner": kit.learner.state()}, best=True)
    store.export("best", checkpoint)


def spoken(
    texts: tuple[str, ...] = ("ab cd", "dacb", "bb ad", "c"), rate_hz: int = RATE_HZ
) -> list[np.ndarray]:
    """Fresh utterances of the tone language."""
    generator = np.random.default_rng(11)
    return [say(text, generator, rate_hz) for text in texts]
