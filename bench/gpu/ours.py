"""voxmill's training loop, as the stage train runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpu.job import Job, OneEpoch, kit_of, result_of
from gpu.window import Window

from voxmill.observability.curves import read_journal
from voxmill.observability.journal import JournalRecorder
from voxmill.training.checkpoint import SavedCheckpoint
from voxmill.training.loop import Training, train


def run_ours(job: Job) -> dict[str, Any]:
    """Trains with the loop's own journal; checkpoints fall outside the measured time anyway."""
    kit = kit_of(job)
    window = Window(warm_up=job.warm_up, updates=job.updates)
    if job.compile_backend:  # in place: parameters keep their names, so checkpoints would fit
        kit.learner.model.compile(dynamic=True, backend=job.compile_backend)
    learner = _Watched(kit.learner, window)
    journal = Path(job.work) / "journal"
    with JournalRecorder(journal, attempt=1) as recorder:
        train(
            Training(
                learner=learner,
                batches=OneEpoch(kit.batches, job.micro_batches),
                validation=kit.validation,
                config=job.recipe.train,
                checkpoints=_Unkept(Path(job.work)),
                recorder=recorder,
            )
        )
    waited = {
        line.step: line.values["voxmill_train_data_wait_ratio"]
        for line in read_journal(journal)
        if "voxmill_train_data_wait_ratio" in line.values
    }
    measured = range(job.warm_up + 1, job.warm_up + job.updates + 1)
    return result_of(
        job,
        kit,
        window,
        losses=[values["loss"] for values in learner.values],
        audio=[values["audio_seconds"] for values in learner.values],
        wait=sum(waited[step] * window.seconds_of(step) for step in measured),
    )


class _Watched:
    """Our learner, with a look at the clock after each update."""

    def __init__(self, learner: Any, window: Window) -> None:
        self._learner, self._window = learner, window
        self.values: list[dict[str, float]] = []

    def step(self, batches: Any) -> dict[str, float]:
        if not self.values:
            self._window.begin()
        self.values.append(self._learner.step(batches))
        self._window.updated()
        return self.values[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


class _Unkept:
    """Satisfies `Checkpoints` and writes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: Any, *, best: bool = False) -> SavedCheckpoint:
        return SavedCheckpoint(step=step, folder=self.folder, bytes=0)

    def newest_valid(self) -> None:
        return None

    def forget_newer_best(self, step: int | None) -> bool:
        return True
