"""Leaving soon when asked: a stage of many small steps looks up between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from voxmill.errors import CheckpointedAndLeft
from voxmill.stages.stage import StageContext

Item = TypeVar("Item")


def until_stopped(items: Iterable[Item], context: StageContext, *, stage: str) -> Iterator[Item]:
    """The items, as long as nobody asks the stage to stop.

    Raises:
        CheckpointedAndLeft: The stage was asked to stop.
    """
    for item in items:
        leave_if_asked(context, stage=stage)
        yield item


def leave_if_asked(context: StageContext, *, stage: str) -> None:
    """Does nothing until the stage is asked to stop.

    Raises:
        CheckpointedAndLeft: It was. There is nothing to save: a stage that takes minutes and only
            reads begins anew, and its unfinished output is thrown away.
    """
    if context.stop_requested():
        raise CheckpointedAndLeft(
            f"Stage {stage} of {context.recipe.name} was asked to stop and left its output "
            "unfinished. Start it again: it begins anew from the same inputs."
        )
