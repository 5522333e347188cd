"""Runs that are not well, one recipe for each illness, and one that is; kept going by a thread.

Times fit the shortened rules of `toys.monitoring`: a second stands for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from toys.monitored_run import MonitoredRun
from toys.toy_project import STAGES, ToyProject

TICK_SECONDS = 0.5
EXPLODES_AFTER_SECONDS = 12.0
FILL_BYTES_PER_TICK = 150_000
VALIDATION = {"split": "validation"}
Values = Mapping[str, float | None]

HEALTHY: Values = {
    "train_loss": 0.4,
    "train_warmup_steps": 100.0,
    "train_total_steps": 100_000.0,
    "train_checkpoint_steps": 500.0,
    "train_data_wait_ratio": 0.02,
    "train_audio_seconds_per_second": 100.0,
    "train_watched_value": 0.19,
    "train_previous_watched_value": 0.20,
    "train_watched_floor_value": 0.05,
    "train_best_value": 0.19,
    "train_collapsed_evaluations": 0.0,
    "train_regressed_evaluations": 0.0,
    "train_skipped_updates_total": 0.0,
}
HEALTHY_EVALUATION: Values = {
    "loss": 0.5, "wer_ratio": 0.19, "blank_ratio": 0.6, "frame_entropy_ratio": 0.1,
    "evaluation_seconds": 1.0,
}  # fmt: skip


@dataclass
class AilingTraining:
    """A training whose journal grows by a step each half second, some values not as they should."""

    run: MonitoredRun
    training: Values = field(default_factory=dict)
    evaluation: Values = field(default_factory=dict)
    later: Values = field(default_factory=dict)
    """Over `training`, from `EXPLODES_AFTER_SECONDS` on."""
    saves: bool = True
    began: float = field(default_factory=time.monotonic)

    def step(self) -> int:
        return 1000 + int((time.monotonic() - self.began) / TICK_SECONDS)

    def tick(self) -> None:
        step = self.step()
        late = time.monotonic() - self.began > EXPLODES_AFTER_SECONDS
        values = {**HEALTHY, **self.training, **(self.later if late else {})}
        values |= {"train_step": step}
        self.run.journal(_named(values), step=step)
        evaluation = {**HEALTHY_EVALUATION, **self.evaluation}
        self.run.journal(_named(evaluation), step=step, labels=VALIDATION)
        if self.saves:
            self.run.journal(_named({"checkpoint_step": step}), step=step)


class AilingProject:
    """All of them.

    Attributes:
        small_disk: Folder of a small disk that fills; None: none does.
    """

    def __init__(self, toy: ToyProject, small_disk: Path | None) -> None:
        self.toy = toy
        self.small_disk = small_disk
        self.trainings = {
            "well": self._training("well"),
            "nan": self._training("nan", training={"train_loss": None}),
            "exploded": self._training("exploded", later={"train_loss": 8.0}),
            "collapsed": self._training(
                "collapsed",
                training={
                    "train_watched_value": 1.0,
                    "train_previous_watched_value": 1.0,
                    "train_collapsed_evaluations": 2.0,
                },
                evaluation={"blank_ratio": 0.999, "wer_ratio": 1.0},
            ),
            "regressed": self._training(
                "regressed",
                training={"train_watched_value": 0.25, "train_regressed_evaluations": 1.0},
            ),
            "starved": self._training("starved", training={"train_data_wait_ratio": 0.6}),
            "unsaved": self._training(
                "unsaved", training={"train_checkpoint_steps": 10.0}, saves=False
            ),
            "unbacked": self._training("unbacked"),
            "gpu": self._training("gpu", gpus=1),
        }
        self.trainings["unbacked"].run.backup(verified_seconds_ago=10_000)
        self._resting()

    def tick(self) -> None:
        """Lets half a second pass for all of them."""
        for training in self.trainings.values():
            training.tick()
        broken = self._folder("broken") / "run.json"
        broken.write_text(f"{{ {time.time()}")
        if self.small_disk is not None:
            with (self.small_disk / "filling").open("ab") as file:
                file.write(bytes(FILL_BYTES_PER_TICK))

    def _training(self, recipe: str, *, gpus: int = 0, **ailments: object) -> AilingTraining:
        run = MonitoredRun.open(self.toy, "one", recipe=recipe, seconds_ago=300, gpus=gpus)
        for stage in STAGES[: STAGES.index("train")]:
            run.done(stage, seconds=2.0, seconds_ago=200)
        run.begin("train", seconds_ago=120)
        return AilingTraining(run, **ailments)

    def _resting(self) -> None:
        """Runs that nobody need keep going."""
        MonitoredRun.open(self.toy, "one", recipe="silent").begin("train", seconds_ago=300)
        failed = MonitoredRun.open(self.toy, "one", recipe="failed")
        failed.end("ingest", "failed", exit_code=65)
        gave_up = MonitoredRun.open(self.toy, "one", recipe="gave-up")
        gave_up.begin("train")
        gave_up.journal(_named({"train_stopped": 1.0}), step=900, labels={"reason": "stuck"})
        gave_up.end("train", "failed", exit_code=70)
        stopped = MonitoredRun.open(self.toy, "one", recipe="stopped")
        stopped.end("ingest", "stopped", exit_code=75)
        gate = MonitoredRun.open(self.toy, "one", recipe="gate")
        gate.done("ingest", checks=[("files", False), ("hours", True)])
        for number in range(3):
            past = MonitoredRun.open(self.toy, f"past-{number}", recipe="late", seconds_ago=900)
            for stage in STAGES:
                past.done(stage, seconds=2.0, seconds_ago=800)
        MonitoredRun.open(self.toy, "one", recipe="late").begin("ingest", seconds_ago=100)
        unverified = MonitoredRun.open(self.toy, "one", recipe="unverified")
        unverified.begin("ingest")
        unverified.backup(verified_seconds_ago=None, failures=1)
        broken = self._folder("broken")
        broken.mkdir(parents=True)

    def _folder(self, recipe: str) -> Path:
        return self.toy.project.runs / recipe / "one"


@contextmanager
def ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Calls a function each half second, in a thread of its own, until the end."""
    ending = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        while not ending.wait(TICK_SECONDS):
            try:
                tick()
            except OSError as error:  # the small disk is full, as it should be in the end
                failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
    assert all(error.errno == 28 for error in failures), failures  # ENOSPC


def _named(values: Values) -> dict[str, float | None]:
    return {f"voxmill_{name}": value for name, value in values.items()}
