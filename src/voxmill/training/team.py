"""The port between training and the processes that train one model together.

Every process goes the same way through the loop: same steps, same evaluations, same checkpoints.
Whatever a decision hangs on is agreed on first, so that no process waits for one that went
elsewhere. Process 0 alone writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Team(Protocol):
    """The processes that train one model together; each method is called by all of them.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
    """

    rank: int
    size: int

    def gather(self, value: T) -> list[T]:
        """What each process gave, in order of their ranks; waits until all have.

        Args:
            value: Small and picklable.
        """

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Puts into each tensor its sum over all processes: the same bits in each of them."""

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Puts into each tensor what process 0 has in it."""


class _Alone:
    rank = 0
    size = 1

    def gather(self, value: T) -> list[T]:
        return [value]

    def add(self, tensors: Sequence[Tensor]) -> None:
        pass

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        pass


ALONE: Team = _Alone()
"""One process by itself."""


def first(team: Team, value: T) -> T:
    """What process 0 gave; the others wait for it."""
    return team.gather(value)[0]


def anyone(team: Team, flag: bool) -> bool:  # noqa: FBT001 -- as `any` takes it
    """Whether it is true in any process."""
    return any(team.gather(flag))


def is_own(team: Team, position: int, accumulation: int) -> bool:
    """Whether the micro-batch at a position of an epoch is this process's.

    Windows begin at multiples of `accumulation`; within one, the processes take turns. So a
    position means the same whatever the number of processes.
    """
    return position % accumulation % team.size == team.rank
