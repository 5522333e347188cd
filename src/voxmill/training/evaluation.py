"""Measuring on the validation set, with an ear for the wish to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voxmill.errors import UsageError
from voxmill.training.prefetch import Prefetcher
from voxmill.training.training import Training


class StoppedInEvaluationError(Exception):
    """Asked to stop between two validation batches; the evaluation is to be done again."""


def validation_figures(training: Training) -> dict[str, float]:
    """The learner's figures on the validation set.

    Raises:
        StoppedInEvaluationError: Asked to stop before the last batch.
        UsageError: The figures lack what `train.watch` names.
    """
    values = training.learner.validate(_polled_batches(training))
    watch = training.config.watch
    if watch not in values:
        raise UsageError(
            f"train.watch is {watch!r}, but validation gives {', '.join(sorted(values))}. "
            f"Set train.watch to one of these."
        )
    return values


def _polled_batches(training: Training) -> Iterator[Any]:
    prefetcher: Prefetcher[Any] = Prefetcher(training.validation, epoch=0, position=0, epochs=1)
    try:
        for batch in prefetcher:
            if training.stop_requested():
                raise StoppedInEvaluationError
            yield batch
    finally:
        prefetcher.close()
