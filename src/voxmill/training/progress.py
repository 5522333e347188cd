"""What a person sees while training runs: a live line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from voxmill.observability.log_context import bind_log_context

logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""How often a plain line is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step as a person reads it."""

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    audio_seconds_per_second: float
    eta_seconds: float


class TrainingProgress(Protocol):
    """Shows how training goes."""

    def step(self, report: StepReport) -> None:
        """Takes note of a step; called at each one, so it must be cheap."""

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Shows the figures of an evaluation."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class _Unseen:
    def step(self, report: StepReport) -> None:
        pass

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


UNSEEN: TrainingProgress = _Unseen()
"""Shows nothing."""


@dataclass(kw_only=True)
class LogProgress:
    """Writes a log line every so many seconds or steps, and one for each evaluation."""

    clock: Callable[[], float]
    every_seconds: float = LOG_SECONDS
    every_steps: int | None = None
    """Where it is given, seconds do not count."""
    _next: float = field(default=float("-inf"), init=False)

    def step(self, report: StepReport) -> None:
        """Writes a line if the last one is long enough ago."""
        bind_log_context(step=report.step)
        if not self._due(report.step):
            return
        logger.info(
            "step %d/%d epoch %.2f loss %.4f lr %.3g %.0f s/s eta %s",
            report.step,
            report.total_steps,
            report.epoch,
            report.loss,
            report.learning_rate,
            report.audio_seconds_per_second,
            clock_time(report.eta_seconds),
        )

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line."""
        bind_log_context(step=step)
        logger.info("step %d evaluation: %s", step, figures_line(values))

    def close(self) -> None:
        """Leaves no step on the lines that follow."""
        bind_log_context(step=None)

    def _due(self, step: int) -> bool:
        if self.every_steps is not None:
            return step % self.every_steps == 0
        now = self.clock()
        if now < self._next:
            return False
        self._next = now + self.every_seconds
        return True


class TerminalProgress:
    """One live line with bar, loss, error rate, pace and time to go."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("[bold]train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("train", total=None, figures="")
        self._watched = ""
        self._bar.start()

    def step(self, report: StepReport) -> None:
        """Moves the bar; the terminal is drawn four times a second by a thread of its own."""
        self._bar.update(
            self._task,
            completed=report.step,
            total=report.total_steps,
            figures=(
                f"loss {report.loss:.3f}{self._watched}  "
                f"{report.audio_seconds_per_second:.0f} s/s  eta {clock_time(report.eta_seconds)}"
            ),
        )

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Prints the figures above the bar and keeps the error rate in it."""
        if "wer" in values:
            self._watched = f"  WER {100 * values['wer']:.1f} %"
        self._bar.console.print(f"step {step}: {figures_line(values)}", highlight=False)

    def close(self) -> None:
        """Stops drawing."""
        self._bar.stop()


def progress_for(
    console: Console, clock: Callable[[], float], *, every_steps: int | None = None
) -> TrainingProgress:
    """The live line on a terminal, log lines in files, pipes, containers and Airflow.

    Args:
        console: Standard error.
        clock: Seconds, monotonic.
        every_steps: How often a log line is written; None: every `LOG_SECONDS`.
    """
    if console.is_terminal:
        return TerminalProgress(console)
    return LogProgress(clock=clock, every_steps=every_steps)


def figures_line(values: Mapping[str, float]) -> str:
    """`loss 0.1234  wer 0.0500`, in the order of the names."""
    return "  ".join(f"{name} {value:.4f}" for name, value in sorted(values.items()))


def clock_time(seconds: float) -> str:
    """`1:02:03`; a dash where nothing is known."""
    if not 0 <= seconds < float("inf"):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
