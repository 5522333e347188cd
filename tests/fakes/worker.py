"""A worker that does as its function says and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voxmill.errors import UsageError
from voxmill.orchestration.worker import (
    ReleasePreview,
    ReleaseSummary,
    RunOrder,
    SourceNews,
    StageSummary,
)


def passed(stage: str, attempt: int) -> StageSummary:
    """Every stage passes at once."""
    return StageSummary(stage=stage, verdict="passed", seconds=0.0, executed=True)


FIRST_RELEASE = ReleasePreview(run="toy-run", version="v0.1.0", unchanged=False)
"""Nothing was released before."""


class FakeWorker:
    """Calls `handler(stage, attempt)` for a stage, where `attempt` counts its calls from 1.

    Args:
        handler: What a stage does.
        news: What the source holds at each look, counted from 1; by default there is none.
        previewed: What a release would be.

    Attributes:
        syncs: How often it looked at the source.
        orders: Every order it opened a run for.
        calls: Stages in the order that they were asked for; `release` among them.
        stopped: How often it was asked to stop.
        waived: Every waiver: checks, reason, whose word it is.
        approvals: Who approved, for each release.
    """

    def __init__(
        self,
        handler: Callable[[str, int], StageSummary] = passed,
        news: Callable[[int], SourceNews] | None = None,
        *,
        previewed: ReleasePreview = FIRST_RELEASE,
    ) -> None:
        self.handler = handler
        self.news = news
        self.syncs = 0
        self.orders: list[RunOrder] = []
        self.calls: list[str] = []
        self.stopped = 0
        self.previewed = previewed
        self.waived: list[tuple[tuple[str, ...], str, str]] = []
        self.approvals: list[str] = []

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

    def waive(self, order: RunOrder, checks: Sequence[str], why: str, who: str) -> None:
        self.calls.append("waive")
        self.waived.append((tuple(checks), why, who))

    def preview(self, order: RunOrder) -> ReleasePreview:
        self.calls.append("preview")
        return self.previewed

    def release(self, order: RunOrder, *, approved_by: str = "") -> ReleaseSummary:
        self.calls.append("release")
        self.approvals.append(approved_by)
        return ReleaseSummary(
            tag=f"{order.recipe}@v0.1.0",
            fresh=True,
            figures={"wer": 0.02},
            approved_by=approved_by,
        )
