"""What a training needs and how it ended, as values."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from voxmill.observability.recorder import SILENT, Recorder
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig
from voxmill.training.learner import BatchSource, Learner
from voxmill.training.progress import UNSEEN, TrainingProgress

Ending = Literal["epochs", "max_steps", "patience"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """All that one training needs."""

    learner: Learner[Any]
    batches: BatchSource[Any]
    validation: BatchSource[Any]
    """Epoch 0 is the whole validation set."""
    config: TrainConfig
    checkpoints: CheckpointStore
    recorder: Recorder = SILENT
    stop_requested: Callable[[], bool] = lambda: False
    """Asked after each step and before each validation batch."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, monotonic."""
    progress: TrainingProgress = UNSEEN


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
    seconds: float
    """Of all attempts, as far as their checkpoints know."""
