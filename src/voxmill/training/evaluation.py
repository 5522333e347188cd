"""Measuring on the validation set, with an ear for the wish to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voxmill.errors import UsageError
from voxmill.training.prefetch import Prefetcher
from voxmill.training.team import first
from voxmill.training.training import Training


class StoppedInEvaluationError(Exception):
    """Asked to stop between two validation batches; the evaluation is to be done again."""


def validation_figures(training: Training) -> dict[str, float]:
    """The learner's figures on the validation set.

    Of several processes the first measures all of it while the others wait: error rates of parts
    cannot be put together, and every family's own figures stay exactly those of one process.

    Raises:
        StoppedInEvaluationError: Asked to stop before the last batch.
        UsageError: The figures lack what `train.watch` names.
    """
    values = first(training.team, _measured(training) if training.team.rank == 0 else None)
    if values is None:
        raise StoppedInEvaluationError
    watch = training.config.watch
    if watch not in values:
        raise UsageError(
            f"train.watch is {watch!r}, but validation gives {', '.join(sorted(values))}. "
            f"Set train.watch to one of these."
        )
    return values


def _measured(training: Training) -> dict[str, float] | None:
    """The figures; None where the training was asked to stop meanwhile."""
    try:
        return training.learner.validate(_polled_batches(training))
    except StoppedInEvaluationError:
        return None


def _polled_batches(training: Training) -> Iterator[Any]:
    prefetcher: Prefetcher[Any] = Prefetcher(training.validation, epoch=0, position=0, epochs=1)
    try:
        for batch in prefetcher:
            if training.stop_requested():
                raise StoppedInEvaluationError
            yield batch
    finally:
        prefetcher.close()
