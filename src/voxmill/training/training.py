"""What a training needs and how it ended, as values."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from voxmill.errors import DataError
from voxmill.observability.recorder import SILENT, Recorder
from voxmill.training.checkpoint import LoadedCheckpoint, SavedCheckpoint
from voxmill.training.config import TrainConfig
from voxmill.training.learner import BatchSource, Learner
from voxmill.training.milestones import MilestoneOutcome
from voxmill.training.progress import UNSEEN, TrainingProgress
from voxmill.training.team import ALONE, Team

Ending = Literal["epochs", "max_steps", "patience"]


class Checkpoints(Protocol):
    """What the loop asks of a `CheckpointStore`, whose methods say the rest."""

    folder: Path

    def save(self, step: int, state: Mapping[str, Any], *, best: bool = False) -> SavedCheckpoint:
        """Writes a checkpoint."""

    def newest_valid(self) -> LoadedCheckpoint | None:
        """The one to go on from."""

    def forget_newer_best(self, step: int | None) -> bool:
        """Takes the best back to what a resumed training knows."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """All that one training needs."""

    learner: Learner[Any]
    batches: BatchSource[Any]
    validation: BatchSource[Any]
    """Epoch 0 is the whole validation set."""
    config: TrainConfig
    checkpoints: Checkpoints
    recorder: Recorder = SILENT
    stop_requested: Callable[[], bool] = lambda: False
    """Asked after each step and before each validation batch."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, monotonic."""
    progress: TrainingProgress = UNSEEN
    team: Team = ALONE
    """The processes that train together, each with a `Training` like this one."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended."""

    steps: int
    epochs: float
    """With a fraction where it ended within one."""
    ending: Ending
    first_value: float | None
    """Watched value before the first step."""
    last_value: float | None
    best_value: float | None
    best_step: int | None
    resumed_from: int | None
    """Step of the checkpoint that this attempt went on from."""
    skipped_updates: int
    infinite_losses: int
    milestones: tuple[MilestoneOutcome, ...]
    seconds: float
    """Of all attempts, as far as their checkpoints know."""


def refuse_empty(training: Training) -> None:
    """Makes sure that there is something to learn from and to measure on.

    Raises:
        DataError: Training or validation has no batches.
    """
    if not training.batches.batch_count(0):
        raise DataError(
            "The training split has no utterances left. Look at prepare's skipped.jsonl, and at "
            "train.max_seconds, train.max_labels and train.num_samples."
        )
    if not training.validation.batch_count(0):
        raise DataError(
            f"The validation split is empty, so train.watch ({training.config.watch}) cannot be "
            f"measured. Raise prepare.split.validation_share or assign a validation split."
        )
