"""AdamW as speech models want it, and the few touches of gradients and statistics around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the parameters that learn; biases and norms are not pulled towards zero.

    Each group's `scale` is what the schedule's rate is multiplied by for it, see
    `scale_learning_rate`. The fused form does the same arithmetic in one call; over many small
    tensors on a CPU it costs a fraction of the loop over parameters.
    """
    members: dict[tuple[float, bool], list[Tensor]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            key = (float(getattr(p, _SCALE, 1.0)), decays(name, p))
            members.setdefault(key, []).append(p)
    groups = [
        {
            "params": members[key],
            "weight_decay": weight_decay if key[1] else 0.0,
            "scale": key[0],
            "lr": learning_rate * key[0],
        }
        for key in sorted(members, reverse=True)
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


_SCALE = "_learning_rate_scale"


def scale_learning_rate(part: nn.Module, scale: float) -> None:
    """Lets a part of a model learn at a multiple of the schedule's rate: a pretrained one slower.

    Call it before `adamw`; what is scaled anew keeps the last scale.
    """
    for parameter in part.parameters():
        setattr(parameter, _SCALE, scale)


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to norms, scales and biases.

    A bias may have two dimensions (the position biases of relative attention), so its name counts.
    """
    return parameter.ndim > 1 and not name.rpartition(".")[2].startswith("bias")


def mean_gradients(parameters: Sequence[Tensor], factor: float) -> None:
    """Multiplies every gradient by the factor; for 1 it touches nothing."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if factor != 1.0 and gradients:
        torch._foreach_mul_(gradients, factor)


class StatisticsKeeper:
    """Remembers the running statistics of batch norms over one update.

    A forward pass with a NaN in it spoils them for good: the weights would be saved by skipping
    the update, the statistics would not.
    """

    def __init__(self, model: nn.Module) -> None:
        self._live = [
            buffer
            for module in model.modules()
            if isinstance(module, _BatchNorm)
            for buffer in (module.running_mean, module.running_var, module.num_batches_tracked)
            if buffer is not None
        ]
        self._kept = [buffer.clone() for buffer in self._live]

    def remember(self) -> None:
        """Takes a copy of the statistics as they are."""
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    def put_back(self) -> None:
        """Undoes what the forward passes since `remember` did to them."""
        for kept, live in zip(self._kept, self._live, strict=True):
            live.copy_(kept)
