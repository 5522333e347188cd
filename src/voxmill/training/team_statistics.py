"""Running statistics of batch norms, as one process would have them after the whole window.

A batch norm moves its statistics at each micro-batch, a little towards that batch's own. Here each
process sees some of the window's batches only. So each batch's own statistics are kept, shared,
and the moves made afterwards, by every process alike and in the window's order.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from voxmill.errors import UsageError
from voxmill.training.optimiser import StatisticsKeeper
from voxmill.training.team import Team


class Statistics(StatisticsKeeper):
    """Those of one process, which the forward passes move by themselves."""

    def batch_done(self) -> None:
        """A micro-batch of the window is over, its backward pass included."""

    def window_done(self, batches: int) -> None:
        """The window is over.

        Args:
            batches: Its micro-batches, in all processes.
        """


class TeamStatistics(Statistics):
    """Those of several processes; the price is a small tensor for each norm and micro-batch."""

    def __init__(self, model: nn.Module, team: Team) -> None:
        """Finds the batch norms.

        Raises:
            UsageError: One of them takes the mean over all batches so far (`momentum=None`).
        """
        super().__init__(model)
        self._team = team
        self._norms = [
            (norm, _momentum(name, norm))
            for name, norm in model.named_modules()
            if isinstance(norm, _BatchNorm) and norm.running_mean is not None
        ]
        self._heard: list[Tensor] = []

    def remember(self) -> None:
        """Takes a copy, and lets each norm hold the last batch's own statistics from now on."""
        super().remember()
        self._heard.clear()
        for norm, _ in self._norms:
            norm.momentum = 1.0
            _count(norm).zero_()

    def batch_done(self) -> None:
        """Takes in what each norm has seen in this batch, and how often.

        A layer that was left out sees nothing; one under gradient checkpointing sees all twice.
        """
        if not self._norms:
            return
        self._heard.append(torch.cat(list(chain.from_iterable(map(_seen, self._live_norms())))))
        for norm, _ in self._norms:
            _count(norm).zero_()

    def window_done(self, batches: int) -> None:
        """Makes the moves of all the window's batches; one message for all norms together."""
        self.put_back()
        if not self._norms:
            return
        widths = [2 * norm.num_features + 1 for norm in self._live_norms()]
        table = _mean(self._norms[0][0]).new_zeros(batches, sum(widths))
        for number, heard in enumerate(self._heard):
            table[self._team.rank + number * self._team.size] = heard
        self._team.add([table])
        for (norm, momentum), seen in zip(self._norms, torch.split(table, widths, 1), strict=True):
            _move(norm, momentum, seen)

    def put_back(self) -> None:
        """Undoes what the forward passes since `remember` did."""
        super().put_back()
        for norm, momentum in self._norms:
            norm.momentum = momentum

    def _live_norms(self) -> list[_BatchNorm]:
        return [norm for norm, _ in self._norms]


def statistics_of(model: nn.Module, team: Team) -> Statistics:
    """The keeper that fits the number of processes."""
    return Statistics(model) if team.size == 1 else TeamStatistics(model, team)


def _seen(norm: _BatchNorm) -> tuple[Tensor, Tensor, Tensor]:
    """(C,) mean, (C,) variance, (1,) how often."""
    mean = _mean(norm)
    return mean, _variance(norm), _count(norm).to(mean.dtype).reshape(1)


def _move(norm: _BatchNorm, momentum: float, seen: Tensor) -> None:
    """Moves a norm as the batches one after another would have.

    Args:
        norm: Its statistics are those from before the window.
        momentum: Its own.
        seen: (batches, 2 C + 1) mean, variance and count of each batch.
    """
    times = [int(count) for count in seen[:, -1].tolist()]
    for row, count in zip(seen, times, strict=True):
        for _ in range(count):
            _mean(norm).lerp_(row[: norm.num_features], momentum)
            _variance(norm).lerp_(row[norm.num_features : -1], momentum)
    _count(norm).add_(sum(times))


def _momentum(name: str, norm: _BatchNorm) -> float:
    if norm.momentum is None:
        raise UsageError(
            f"Batch norm {name} takes the mean over all batches so far (momentum None), which "
            f"several processes cannot share. Set its momentum, or resources.processes to 1."
        )
    return float(norm.momentum)


def _mean(norm: _BatchNorm) -> Tensor:
    assert norm.running_mean is not None  # noqa: S101 -- the constructor left out those without
    return norm.running_mean


def _variance(norm: _BatchNorm) -> Tensor:
    assert norm.running_var is not None  # noqa: S101
    return norm.running_var


def _count(norm: _BatchNorm) -> Tensor:
    assert norm.num_batches_tracked is not None  # noqa: S101
    return norm.num_batches_tracked
