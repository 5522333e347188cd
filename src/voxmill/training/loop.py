"""The training loop: steps, evaluations, checkpoints, stopping and going on.

It knows no model: a `Learner` makes updates, a `BatchSource` gives batches. Between two steps
everything that the next one depends on lies in the learner's state and a `Position`, so that a
checkpoint taken there continues bit for bit on the same number of CPU threads.

An evaluation or checkpoint that is due is a function of that position. One that a kill or a stop
interrupted is therefore due again after the restart, and gives the same figures.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from voxmill.errors import CheckpointedAndLeft, DataError
from voxmill.training.checkpoint import LoadedCheckpoint
from voxmill.training.evaluation import StoppedInEvaluationError, validation_figures
from voxmill.training.figures import train_values, validation_values
from voxmill.training.pace import Pace
from voxmill.training.position import Position
from voxmill.training.prefetch import Prefetcher
from voxmill.training.progress import StepReport
from voxmill.training.schedule import total_steps
from voxmill.training.team import anyone, is_own
from voxmill.training.training import Ending, Training, TrainingResult

__all__ = ["Training", "TrainingResult", "train"]

logger = logging.getLogger(__name__)


def train(training: Training) -> TrainingResult:
    """Trains to the end, from the newest valid checkpoint where there is one.

    Raises:
        CheckpointedAndLeft: Asked to stop; a checkpoint was written first.
        DataError: Training or validation has no batches, or the checkpoint is of another model.
        EngineMissing: A checkpoint could not be written.
        TrainingFailed: The learner gave up.
        UsageError: The learner does not measure what `train.watch` names.
    """
    _refuse_empty(training)
    loop = _Loop(training)
    try:
        return loop.run()
    finally:
        training.progress.close()
        training.recorder.flush()


class _Loop:
    """One attempt at a training."""

    def __init__(self, training: Training) -> None:
        self._t = training
        self._config = training.config
        self._planned_steps = total_steps(training.config, training.batches)
        self._position = Position()
        self._pace = Pace(clock=training.clock)
        self._resumed_from: int | None = None
        self._seconds_before = 0.0
        self._saved: tuple[int, int | None] | None = None
        self._saved_at = training.clock()

    def run(self) -> TrainingResult:
        found = self._t.checkpoints.newest_valid()
        if found is not None:
            self._restore(found)
        position = self._position
        begin = {
            "voxmill_train_resumed_step": position.step,
            "voxmill_train_total_steps": self._planned_steps,
            "voxmill_train_warmup_steps": self._config.warmup_steps,
            "voxmill_train_checkpoint_steps": self._checkpoint_steps(),
        }
        self._t.recorder.record(begin, step=position.step)
        prefetcher: Prefetcher[Any] = Prefetcher(
            self._t.batches,
            epoch=position.epoch,
            position=position.position,
            epochs=self._config.epochs,
            wanted=self._is_own,
        )
        try:
            self._to_the_end(prefetcher)
        finally:
            prefetcher.close()
        return self._result()

    def _to_the_end(self, prefetcher: Prefetcher[Any]) -> None:
        while True:
            self._settle()
            if self._ending() is not None:
                break
            if anyone(self._t.team, self._t.stop_requested()):
                self._leave()
            self._advance(prefetcher)
        self._save_once(best=False)

    def _advance(self, prefetcher: Prefetcher[Any]) -> None:
        """Makes one optimizer step; the last window of an epoch may be shorter."""
        position = self._position
        if position.position == self._batch_count():
            position.epoch, position.position = position.epoch + 1, 0
        self._pace.step_begins()
        size = min(self._config.accumulation, self._batch_count() - position.position)
        places = range(position.position, position.position + size)
        window = [prefetcher.next() for place in places if self._is_own(place)]
        self._pace.data_arrived()
        values = self._t.learner.step(window)
        position.step += 1
        position.position += size
        position.skipped_updates += int(values.get("skipped_updates", 0))
        position.infinite_losses += int(values.get("infinite_losses", 0))
        self._tell_step(values)

    def _tell_step(self, values: Mapping[str, float]) -> None:
        position = self._position
        rates = self._pace.step_ended(values, self._planned_steps - position.step)
        record = {
            **train_values(values),
            **rates,
            "voxmill_train_step": position.step,
            "voxmill_train_epoch": self._epochs_made(),
            "voxmill_train_skipped_updates_total": position.skipped_updates,
            "voxmill_train_infinite_losses_total": position.infinite_losses,
            "voxmill_checkpoint_age_seconds": self._t.clock() - self._saved_at,
        }
        self._t.recorder.record(record, step=position.step)
        self._t.progress.step(
            StepReport(
                step=position.step,
                total_steps=self._planned_steps,
                epoch=self._epochs_made(),
                loss=values["loss"],
                learning_rate=values.get("learning_rate", float("nan")),
                audio_seconds_per_second=rates.get("voxmill_train_audio_seconds_per_second", 0.0),
                eta_seconds=rates["voxmill_train_eta_seconds"],
            )
        )

    def _settle(self) -> None:
        """Does what is due between two steps: an evaluation, a checkpoint."""
        step = self._position.step
        evaluated = best = False
        if self._evaluation_due() and self._position.evaluated_step != step:
            best = self._evaluate()
            evaluated = True
        every = self._config.checkpoint_every_steps
        due = evaluated if every is None else step > 0 and step % every == 0
        if best or due:
            self._save_once(best=best)

    def _evaluation_due(self) -> bool:
        every = self._config.evaluate_every_steps
        at_epoch_end = self._position.position == self._batch_count()
        regular = at_epoch_end if every is None else self._position.step % every == 0
        return self._position.step == 0 or regular or self._ending() is not None

    def _evaluate(self) -> bool:
        """Measures on the validation set and tells whether this is the best so far."""
        started = self._t.clock()
        try:
            values = validation_figures(self._t)
        except StoppedInEvaluationError:
            self._leave()
        previous = self._position.last_value
        best = self._position.evaluated(values[self._config.watch])
        record = validation_values(values)
        record["voxmill_evaluation_seconds"] = self._t.clock() - started
        step = self._position.step
        self._t.recorder.record(record, step=step, labels={"split": "validation"})
        watched = {"voxmill_train_watched_value": values[self._config.watch]}
        if self._position.best_value is not None:
            watched["voxmill_train_best_value"] = self._position.best_value
        if previous is not None:
            watched["voxmill_train_previous_watched_value"] = previous
        self._t.recorder.record(watched, step=step)
        self._t.progress.evaluated(step, values)
        return best

    def _save_once(self, *, best: bool) -> None:
        """Writes a checkpoint unless the last one says the same."""
        position = self._position
        if self._saved == (position.step, position.evaluated_step):
            return
        started = self._t.clock()
        position.seconds = self._seconds_before + self._pace.elapsed_seconds
        self._t.recorder.flush()
        saved = self._t.checkpoints.save(
            position.step,
            {"learner": self._t.learner.state(), "position": position.to_dict()},
            best=best,
        )
        self._saved = (position.step, position.evaluated_step)
        self._saved_at = self._t.clock()
        record = {
            "voxmill_checkpoint_step": saved.step,
            "voxmill_checkpoint_bytes": saved.bytes,
            "voxmill_checkpoint_seconds": self._saved_at - started,
        }
        self._t.recorder.record(record, step=position.step)

    def _leave(self) -> None:
        self._save_once(best=False)
        raise CheckpointedAndLeft(
            f"Asked to stop: checkpoint of step {self._position.step} written to "
            f"{self._t.checkpoints.folder}. Start again to go on from there."
        )

    def _restore(self, found: LoadedCheckpoint) -> None:
        self._t.learner.load(found.state["learner"])
        self._position = Position.from_dict(found.state["position"])
        self._resumed_from = self._position.step
        self._seconds_before = self._position.seconds
        self._saved = (self._position.step, self._position.evaluated_step)
        if not self._t.checkpoints.forget_newer_best(self._position.best_step):
            logger.warning(
                "The best checkpoint (step %s) is lost: the next evaluation is the best again",
                self._position.best_step,
            )
            self._position.forget_best()
        logger.info("Going on from step %d (%s)", self._position.step, found.folder.name)

    def _ending(self) -> Ending | None:
        """Why training is over; None while it is not."""
        config, position = self._config, self._position
        if config.max_steps is not None and position.step >= config.max_steps:
            return "max_steps"
        if position.epoch == config.epochs - 1 and position.position == self._batch_count():
            return "epochs"
        if config.patience is not None and position.stale_evaluations >= config.patience:
            return "patience"
        return None

    def _is_own(self, place: int) -> bool:
        return is_own(self._t.team, place, self._config.accumulation)

    def _batch_count(self) -> int:
        return self._t.batches.batch_count(self._position.epoch)

    def _checkpoint_steps(self) -> int:
        """Steps from one planned checkpoint to the next; those of the best come in between."""
        config = self._config
        every = config.checkpoint_every_steps or config.evaluate_every_steps
        return every or math.ceil(self._batch_count() / config.accumulation)

    def _epochs_made(self) -> float:
        return self._position.epoch + self._position.position / self._batch_count()

    def _result(self) -> TrainingResult:
        position = self._position
        return TrainingResult(
            steps=position.step,
            epochs=self._epochs_made(),
            ending=self._ending() or "epochs",
            first_value=position.first_value,
            last_value=position.last_value,
            best_value=position.best_value,
            best_step=position.best_step,
            resumed_from=self._resumed_from,
            skipped_updates=position.skipped_updates,
            infinite_losses=position.infinite_losses,
            seconds=self._seconds_before + self._pace.elapsed_seconds,
        )


def _refuse_empty(training: Training) -> None:
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
