"""The training loop: steps, evaluations, checkpoints, stopping and going on.

It knows no model: a `Learner` makes updates, a `BatchSource` gives batches. Between two steps
everything that the next one depends on lies in the learner's state and a `Position`, so that a
checkpoint taken there continues bit for bit on the same number of CPU threads.

An evaluation or checkpoint that is due is a function of that position. One that a kill or a stop
interrupted is therefore due again after the restart, and gives the same figures. What the watchdog
has counted lies in the checkpoint too, and changes with evaluations and steps only.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from voxmill.errors import CheckpointedAndLeft, TrainingFailed
from voxmill.training.checkpoint import LoadedCheckpoint
from voxmill.training.chronicle import Chronicle
from voxmill.training.evaluation import StoppedInEvaluationError, validation_figures
from voxmill.training.figures import refuse_untrained
from voxmill.training.pace import Pace
from voxmill.training.plan import Plan
from voxmill.training.position import Position
from voxmill.training.prefetch import Prefetcher
from voxmill.training.stops import Evaluation, Stop
from voxmill.training.team import anyone, is_own
from voxmill.training.training import Training, TrainingResult, refuse_empty
from voxmill.training.watchdog import Watchdog

__all__ = ["Training", "TrainingResult", "train"]

logger = logging.getLogger(__name__)


def train(training: Training) -> TrainingResult:
    """Trains to the end, from the newest valid checkpoint where there is one.

    Raises:
        CheckpointedAndLeft: Asked to stop; a checkpoint was written first.
        DataError: Training or validation has no batches, or the checkpoint is of another model.
        EngineMissing: A checkpoint could not be written.
        TrainingFailed: The learner gave up, or the watchdog ended it after a checkpoint.
        UsageError: The learner does not measure what `train.watch` names.
    """
    refuse_empty(training)
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
        self._plan = Plan(training.config, training.batches)
        self._chronicle = Chronicle(training, self._plan.steps)
        self._watchdog = Watchdog(training.config, self._plan.steps)
        self._position = Position()
        self._pace = Pace(clock=training.clock)
        self._resumed_from: int | None = None
        self._seconds_before = 0.0
        self._saved: tuple[int, int | None] | None = None
        self._saved_at = training.clock()
        self._step_values: frozenset[str] | None = None

    def run(self) -> TrainingResult:
        found = self._t.checkpoints.newest_valid()
        if found is not None:
            self._restore(found)
        position = self._position
        self._chronicle.attempt(
            position.step, checkpoint_steps=self._plan.checkpoint_steps(position)
        )
        if self._watchdog.told is not None:
            raise TrainingFailed(
                f"{self._watchdog.told}\nAn earlier attempt ended so, and nothing has changed "
                f"since: start a new run with other settings."
            )
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
            if self._plan.ending(self._position) is not None:
                break
            if anyone(self._t.team, self._t.stop_requested()):
                self._leave()
            self._advance(prefetcher)
        self._save_once(best=False)

    def _advance(self, prefetcher: Prefetcher[Any]) -> None:
        """Makes one optimizer step; the last window of an epoch may be shorter."""
        position = self._position
        if self._plan.epochs_just_ended(position) is not None:
            position.epoch, position.position = position.epoch + 1, 0
        self._pace.step_begins()
        size = min(self._config.accumulation, self._plan.batch_count(position) - position.position)
        places = range(position.position, position.position + size)
        window = [prefetcher.next() for place in places if self._is_own(place)]
        self._pace.data_arrived()
        values = self._t.learner.step(window)
        position.step += 1
        position.position += size
        position.skipped_updates += int(values.get("skipped_updates", 0))
        position.infinite_losses += int(values.get("infinite_losses", 0))
        self._step_values = frozenset(values)
        self._watchdog.step(position.step, values["loss"])
        self._chronicle.step(
            position,
            values,
            self._pace.step_ended(values, self._plan.steps - position.step),
            epochs=self._plan.epochs_made(position),
            checkpoint_age_seconds=self._t.clock() - self._saved_at,
        )

    def _settle(self) -> None:
        """Does what is due between two steps: an evaluation, a checkpoint, giving up."""
        position = self._position
        evaluated = best = False
        if self._plan.evaluation_due(position) and position.evaluated_step != position.step:
            best = self._evaluate()
            evaluated = True
        due = self._plan.checkpoint_due(position, evaluated=evaluated)
        stop = self._watchdog.stop
        if stop is not None:
            self._watchdog.told = self._last_words(stop)
        if best or due or stop is not None:
            self._save_once(best=best)
        if stop is not None:
            self._give_up(stop)

    def _evaluate(self) -> bool:
        """Measures on the validation set and tells whether this is the best so far."""
        started = self._t.clock()
        try:
            values = validation_figures(self._t)
        except StoppedInEvaluationError:
            self._leave()
        if self._step_values is not None:
            refuse_untrained(self._step_values, values)
        position, watch = self._position, self._config.watch
        previous = position.last_value
        seen = Evaluation(
            step=position.step, figures=values, watch=watch, best_value=position.best_value
        )
        best = position.evaluated(values[watch])
        if not self._plan.standstill_counts(position):
            position.stale_evaluations = 0
        self._watchdog.evaluated(
            seen,
            epochs=self._plan.epochs_just_ended(position),
            over=self._plan.ending(position) is not None,
        )
        self._chronicle.evaluation(
            position,
            values,
            previous=previous,
            counts=self._watchdog.counts(),
            seconds=self._t.clock() - started,
        )
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
            {
                "learner": self._t.learner.state(),
                "position": position.to_dict(),
                "watchdog": self._watchdog.state(),
            },
            best=best,
        )
        self._saved = (position.step, position.evaluated_step)
        self._saved_at = self._t.clock()
        self._chronicle.checkpoint(saved, seconds=self._saved_at - started)

    def _leave(self) -> None:
        self._save_once(best=False)
        raise CheckpointedAndLeft(
            f"Asked to stop: checkpoint of step {self._position.step} written to "
            f"{self._t.checkpoints.folder}. Start again to go on from there."
        )

    def _give_up(self, stop: Stop) -> NoReturn:
        self._chronicle.stopped(self._position.step, stop.reason)
        self._t.recorder.flush()
        raise TrainingFailed(str(self._watchdog.told))

    def _last_words(self, stop: Stop) -> str:
        position = self._position
        best = (
            "no best checkpoint yet"
            if position.best_step is None
            else f"the best checkpoint, of step {position.best_step} ({self._config.watch} "
            f"{position.best_value:.4f})"
        )
        kept = f"{best}, and the newest, of step {position.step}, in {self._t.checkpoints.folder}."
        return stop.message(step=position.step, epochs=self._plan.epochs_made(position), kept=kept)

    def _restore(self, found: LoadedCheckpoint) -> None:
        self._t.learner.load(found.state["learner"])
        self._position = Position.from_dict(found.state["position"])
        if "watchdog" in found.state:  # checkpoints from before there was one lack it
            self._watchdog.load(found.state["watchdog"])
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

    def _is_own(self, place: int) -> bool:
        return is_own(self._t.team, place, self._config.accumulation)

    def _result(self) -> TrainingResult:
        position = self._position
        return TrainingResult(
            steps=position.step,
            epochs=self._plan.epochs_made(position),
            ending=self._plan.ending(position) or "epochs",
            first_value=position.first_value,
            last_value=position.last_value,
            best_value=position.best_value,
            best_step=position.best_step,
            resumed_from=self._resumed_from,
            skipped_updates=position.skipped_updates,
            infinite_losses=position.infinite_losses,
            milestones=self._watchdog.milestones(),
            seconds=self._seconds_before + self._pace.elapsed_seconds,
        )
