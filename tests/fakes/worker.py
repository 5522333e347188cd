"""A worker that does as its function says and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.errors import UsageError
from voxmill.orchestration.worker import ReleaseSummary, RunOrder, SourceNews, StageSummary


def passed(stage: str, attempt: int) -> StageSummary:
    """Every stage passes at once."""
    return StageSummary(stage=stage, verdict="passed", seconds=0.0, executed=True)


class FakeWorker:
    """Calls `handler(stage, attempt)` for a stage, where `attempt` counts its calls from 1.

    Args:
        handler: What a stage does.
        news: What the source holds at each look, counted from 1; by default there is none.

    Attributes:
        syncs: How often it looked at the source.
        orders: Every order it opened a run for.
        calls: Stages in the order that they were asked for; `release` among them.
        stopped: How often it was asked to stop.
    """

    def __init__(
        self,
        handler: Callable[[str, int], StageSummary] = passed,
        news: Callable[[int], SourceNews] | None = None,
    ) -> None:
        self.handler = handler
        self.news = news
        self.syncs = 0
        self.orders: list[RunOrder] = []
        self.calls: list[str] = []
        self.stopped = 0

    def open(self, order: RunOrder) -> str:
        self.orders.append(order)
        return "toy-run"

    def run_stage(self, order: RunOrder, stage: str) -> StageSummary:
        self.calls.append(stage)
        return self.handler(stage, self.calls.count(stage))

    def sync(self, recipe: str) -> SourceNews:
        self.syncs += 1
        if self.news is None:
            raise UsageError(f"Recipe {recipe} has no source.")
        return self.news(self.syncs)

    def stop_stage(self) -> None:
        self.stopped += 1

    def release(self, order: RunOrder) -> ReleaseSummary:
        self.calls.append("release")
        return ReleaseSummary(tag=f"{order.recipe}@v0.1.0", fresh=True, figures={"wer": 0.02})
