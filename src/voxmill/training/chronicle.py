"""What a training says of itself: each step, evaluation and checkpoint, to recorder and screen."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.training.checkpoint import SavedCheckpoint
from voxmill.training.figures import train_values, validation_records
from voxmill.training.position import Position
from voxmill.training.progress import StepReport
from voxmill.training.training import Training


class Chronicle:
    """Passes on what happens, under catalogued names."""

    def __init__(self, training: Training, planned_steps: int) -> None:
        self._recorder = training.recorder
        self._progress = training.progress
        self._warmup_steps = training.config.warmup_steps
        self._planned_steps = planned_steps

    def attempt(self, step: int, *, checkpoint_steps: int) -> None:
        """An attempt begins: where from, and what it means to do.

        Args:
            step: That it goes on from; 0 for the beginning.
            checkpoint_steps: Steps from one planned checkpoint to the next.
        """
        begin = {
            "voxmill_train_resumed_step": step,
            "voxmill_train_total_steps": self._planned_steps,
            "voxmill_train_warmup_steps": self._warmup_steps,
            "voxmill_train_checkpoint_steps": checkpoint_steps,
        }
        self._recorder.record(begin, step=step)

    def step(
        self,
        position: Position,
        values: Mapping[str, float],
        rates: Mapping[str, float],
        *,
        epochs: float,
        checkpoint_age_seconds: float,
    ) -> None:
        """A step was made.

        Args:
            position: After it.
            values: The learner's.
            rates: Pace of the step, by catalogued name.
            epochs: Made, with a fraction.
            checkpoint_age_seconds: Since a checkpoint was last written.
        """
        record = {
            **train_values(values),
            **rates,
            "voxmill_train_step": position.step,
            "voxmill_train_epoch": epochs,
            "voxmill_train_skipped_updates_total": position.skipped_updates,
            "voxmill_train_infinite_losses_total": position.infinite_losses,
            "voxmill_checkpoint_age_seconds": checkpoint_age_seconds,
        }
        self._recorder.record(record, step=position.step)
        self._progress.step(
            StepReport(
                step=position.step,
                total_steps=self._planned_steps,
                epoch=epochs,
                loss=values["loss"],
                learning_rate=values.get("learning_rate", float("nan")),
                audio_seconds_per_second=rates.get("voxmill_train_audio_seconds_per_second", 0.0),
                eta_seconds=rates["voxmill_train_eta_seconds"],
            )
        )

    def evaluation(
        self,
        position: Position,
        values: Mapping[str, float],
        *,
        previous: float | None,
        counts: Mapping[str, float],
        seconds: float,
    ) -> None:
        """The validation set was measured.

        Args:
            position: With this evaluation taken in.
            values: The learner's figures.
            previous: Watched value of the evaluation before.
            counts: The watchdog's, by catalogued name.
            seconds: That it took.
        """
        for labels, record in validation_records(values):
            own = {} if "decoder" in labels else {"voxmill_evaluation_seconds": seconds}
            self._recorder.record({**record, **own}, step=position.step, labels=labels)
        watched = {
            "voxmill_train_watched_value": position.last_value,
            "voxmill_train_best_value": position.best_value,
            "voxmill_train_previous_watched_value": previous,
            **counts,
        }
        known = {name: value for name, value in watched.items() if value is not None}
        self._recorder.record(known, step=position.step)
        self._progress.evaluated(position.step, values)

    def checkpoint(self, saved: SavedCheckpoint, *, seconds: float) -> None:
        """A checkpoint was written."""
        record = {
            "voxmill_checkpoint_step": saved.step,
            "voxmill_checkpoint_bytes": saved.bytes,
            "voxmill_checkpoint_seconds": seconds,
        }
        self._recorder.record(record, step=saved.step)

    def stopped(self, step: int, reason: str) -> None:
        """The watchdog ended the training."""
        labels = {"reason": reason}
        self._recorder.record({"voxmill_train_stopped": 1.0}, step=step, labels=labels)
