"""The gradient of a window that several processes have shared out among them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from voxmill.training.optimiser import mean_gradients
from voxmill.training.team import Team

PART_OF_LOSS = "_loss"
"""How the name of a part of the loss ends: `ctc_loss`, `attention_loss`."""


@dataclass(kw_only=True)
class LocalSums:
    """What one process has summed over its part of a window."""

    weight: float = 0.0
    batches: int = 0
    values: Counter[str] = field(default_factory=Counter)
    _totals: list[Tensor] = field(default_factory=list)

    def add(self, total: Tensor, weight: float, values: Mapping[str, float]) -> None:
        """Takes in a micro-batch.

        Args:
            total: () its summed loss, with or without its graph.
            weight: What the sum is over.
            values: Further sums by name.
        """
        self._totals.append(total.detach())
        self.weight += weight
        self.batches += 1
        self.values.update(dict(values))

    @property
    def total(self) -> float:
        """The summed loss; asking for it waits for the GPU."""
        if not self._totals:
            return 0.0
        one = len(self._totals) == 1
        return float(self._totals[0] if one else torch.stack(self._totals).sum())


@dataclass(frozen=True, kw_only=True)
class WindowSums:
    """The same over the whole window, in all processes."""

    loss: float
    """Summed loss over summed weight; NaN where there is no weight."""
    batches: int
    values: Mapping[str, float]
    """Further sums by name; parts of the loss are divided by the weight as the whole is."""


@dataclass(frozen=True, kw_only=True)
class _Share:
    """What a process tells the others of its part."""

    total: float
    weight: float
    batches: int
    values: Mapping[str, float]
    has_gradient: bytes
    """One byte for each parameter: 1 where the part gave it a gradient."""


def share_gradients(
    parameters: Sequence[Tensor], local: LocalSums, team: Team, *, scaled_by: float
) -> WindowSums:
    """Leaves in each parameter, in every process, the gradient of the window's mean loss.

    A parameter that no process has used keeps no gradient, so that the optimiser leaves it alone
    as it would in one process. A process without a batch adds zeros.

    Args:
        parameters: Those that learn.
        local: This process's part.
        team: The processes.
        scaled_by: What this process's losses were divided by before their backward passes.

    Returns:
        The sums over all processes, the same in each of them.
    """
    own = _Share(
        total=local.total,
        weight=local.weight,
        batches=local.batches,
        values={name: float(value) for name, value in local.values.items()},
        has_gradient=bytes(p.grad is not None for p in parameters),
    )
    shares = team.gather(own)
    weight = sum(share.weight for share in shares)
    if weight > 0:
        mean_gradients(parameters, scaled_by / weight)
        _add(parameters, shares, team)
    values: Counter[str] = Counter()
    for share in shares:
        values.update(dict(share.values))
    divisor = weight if weight > 0 else math.nan
    return WindowSums(
        loss=sum(share.total for share in shares) / divisor,
        batches=sum(share.batches for share in shares),
        values={k: v / divisor if k.endswith(PART_OF_LOSS) else v for k, v in values.items()},
    )


def _add(parameters: Sequence[Tensor], shares: Sequence[_Share], team: Team) -> None:
    if team.size == 1:
        return
    used = [
        parameter
        for parameter, *marks in zip(
            parameters, *(share.has_gradient for share in shares), strict=True
        )
        if any(marks)
    ]
    for parameter in used:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    team.add([parameter.grad for parameter in used if parameter.grad is not None])
