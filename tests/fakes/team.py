"""A team of threads: the port of `training/team.py` without processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
_SECONDS = 60.0


class ThreadTeam:
    """One member of a team whose members are threads; `crew` makes them all."""

    def __init__(self, rank: int, size: int, board: dict[int, Any], barrier: threading.Barrier):
        self.rank = rank
        self.size = size
        self._board = board
        self._barrier = barrier

    def gather(self, value: T) -> list[T]:
        self._board[self.rank] = value
        self._barrier.wait(_SECONDS)
        gathered = [self._board[rank] for rank in range(self.size)]
        self._barrier.wait(_SECONDS)
        return gathered

    def add(self, tensors: Sequence[Tensor]) -> None:
        sums = [torch.stack(same).sum(0) for same in zip(*self._copies(tensors), strict=True)]
        self._put(tensors, sums)

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        self._put(tensors, self._copies(tensors)[0])

    def _copies(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        return self.gather([tensor.detach().clone() for tensor in tensors])

    @staticmethod
    def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)


def crew(size: int) -> list[ThreadTeam]:
    """Every member of a team."""
    board: dict[int, Any] = {}
    barrier = threading.Barrier(size)
    return [ThreadTeam(rank, size, board, barrier) for rank in range(size)]


def together(work: Callable[[ThreadTeam], T], team: Sequence[ThreadTeam]) -> list[T]:
    """Lets each member do its part at the same time; gives what they return, by rank."""
    with ThreadPoolExecutor(len(team)) as threads:
        return list(threads.map(work, team))
