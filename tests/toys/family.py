"""A family whose model is the linear toy, for the stage and the resume tests."""

from __future__ import annotations

from pathlib import Path

from toys.linear import ToyBatches, ToyObjective, toy_learner, toy_sequences
from voxmill.corpus.manifest import write_lines
from voxmill.corpus.sources.config import SyntheticSource
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.family import TrainingKit
from voxmill.recipe.recipe import Recipe
from voxmill.training.config import TrainConfig


class ToyFamily:
    """Takes as many toy sequences as there are training utterances."""

    name = "ctc"
    version = 1

    def __init__(self, *, objective: ToyObjective | None = None, delay_seconds: float = 0.0):
        self._objective = objective
        self._delay = delay_seconds

    def kit(self, *, prepared, utterances, model, train, stop):
        batches = ToyBatches(
            toy_sequences(len(utterances)), seed=train.seed, delay_seconds=self._delay
        )
        return TrainingKit(
            learner=toy_learner(train, batches, objective=self._objective),
            batches=batches,
            validation=ToyBatches(toy_sequences(20, seed=8)),
            notes={"parameters": 4.0, "skipped_utterances": 0.0},
        )


def toy_recipe(train: TrainConfig) -> Recipe:
    """A recipe around a `train` section."""
    return Recipe(
        name="toy",
        title="A line through points",
        family="ctc",
        source=SyntheticSource(kind="synthetic"),
        model=CtcModelConfig(),
        train=train,
    )


def toy_prepared(folder: Path, count: int = 40) -> Path:
    """As much of prepare's output as the stage itself reads."""
    utterances = [
        PreparedUtterance(
            id=f"u{number:03d}",
            split="train",
            shard="00000.pcm",
            offset_samples=0,
            samples=16000,
            text="one",
            text_original="one",
            labels=(2, 3),
            speaker="s",
            subset="all",
            part="all",
        )
        for number in range(count)
    ]
    write_lines(folder / "utterances.jsonl", utterances)
    return folder
