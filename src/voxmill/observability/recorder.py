"""The port through which everything tells its figures: `record`, and `flush` at checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Recorder(Protocol):
    """Takes values as they arise; never blocks the work that it watches."""

    def record(
        self,
        values: Mapping[str, float],
        *,
        step: int,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Records values by catalogued metric name.

        Args:
            values: Value by metric name (`voxmill_train_loss`, …).
            step: Optimizer step that the values belong to; 0 where there are no steps.
            labels: Label values by label name (`split`, `artefact`), from closed sets.

        Raises:
            UncataloguedMetricError: A name or label is not in the catalogue; a mistake in the code.
        """

    def flush(self) -> None:
        """Makes everything recorded so far readable by others.

        A checkpoint says "go on from here"; the figures up to it must survive a kill with it.
        """


class _Silent:
    def record(
        self,
        values: Mapping[str, float],
        *,
        step: int,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        pass

    def flush(self) -> None:
        pass


SILENT: Recorder = _Silent()
"""Records nothing."""


class CompositeRecorder:
    """Passes each record on to several recorders, in order."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = tuple(recorders)

    def record(
        self,
        values: Mapping[str, float],
        *,
        step: int,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Passes the values on."""
        for recorder in self._recorders:
            recorder.record(values, step=step, labels=labels)

    def flush(self) -> None:
        """Flushes each of them."""
        for recorder in self._recorders:
            recorder.flush()
