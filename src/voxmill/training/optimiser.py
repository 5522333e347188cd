"""AdamW as speech models want it, and the few touches of gradients and statistics around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the parameters that learn; biases and norms are not pulled towards zero.

    The fused form does the same arithmetic in one call; over many small tensors on a CPU it costs
    a fraction of the loop over parameters.
    """
    learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in learning if decays(name, p)]
    plain = [p for name, p in learning if not decays(name, p)]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=learning_rate, fused=True
    )


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
