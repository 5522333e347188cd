"""A launcher that calls a function instead of starting anything."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.launchers.launcher import StageResult, StageRun


class FakeLauncher:
    """Runs each stage by handing it to `handler`, which fills `out` and gives the exit code.

    Args:
        handler: What the stage does.

    Attributes:
        runs: Everything that was run, in order.
        stops: Stage and grace of everything that was asked to stop, in order.
    """

    name = "fake"

    def __init__(self, handler: Callable[[StageRun], int]) -> None:
        self.handler = handler
        self.runs: list[StageRun] = []
        self.stops: list[tuple[str, float]] = []

    def run(self, stage_run: StageRun) -> StageResult:
        self.runs.append(stage_run)
        stage_run.out.mkdir(parents=True, exist_ok=True)
        stage_run.work.mkdir(parents=True, exist_ok=True)
        return StageResult(exit_code=self.handler(stage_run), seconds=0.0)

    def attach(self, stage_run: StageRun) -> StageResult | None:
        return None

    def stop(self, stage_run: StageRun, *, grace_seconds: float) -> None:
        self.stops.append((stage_run.stage, grace_seconds))
