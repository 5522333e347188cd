"""The team of a process that was started with others: PyTorch's process group.

Gradients are added here, in `supervised.py`'s words, and not by DistributedDataParallel. DDP
divides by the number of processes, where the update wants the sum divided by the weight of all
(tokens); it hangs where one process has no batch in a short last window, or parameters unused in
that batch; and it starts its sum in the backward pass of one micro-batch, while here the sum is
taken once for a whole window. The price: nothing of the sum overlaps with the backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from voxmill.training.team import ALONE, Team

T = TypeVar("T")

PATIENCE = timedelta(hours=24)
"""How long processes wait for each other: while process 0 measures the validation set or writes a
checkpoint, the others do nothing else. Who has died is noticed by the launcher at once."""
_BUCKET_BYTES = 64 * 2**20
"""Tensors are added in lumps of this size: large enough to be worth a message, small beside the
gradients that they are copied from."""


class PeersLostError(RuntimeError):
    """Another process is gone; why, it or the launcher says."""


def team_here() -> Team:
    """The team that this process has joined; by itself, where it was started by itself."""
    return _ProcessTeam() if distributed.is_available() and distributed.is_initialized() else ALONE


@contextmanager
def joined_team() -> Iterator[Team]:
    """Joins the processes that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT tell of.

    Sums of GPUs' tensors go through NCCL, everything else through gloo. All processes are on this
    machine, so the loopback interface is enough (and all that a container without network has).
    """
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, "lo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    yield _ProcessTeam()
    # After a failure nobody may be left to take leave of, so only the good end comes here.
    distributed.destroy_process_group()


class _ProcessTeam:
    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def gather(self, value: T) -> list[T]:
        gathered: list[Any] = [None] * self.size
        _asked(lambda: distributed.all_gather_object(gathered, value))
        return gathered

    def add(self, tensors: Sequence[Tensor]) -> None:
        for lump in _lumps(tensors):
            _in_one_piece(lump, distributed.all_reduce)

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        for lump in _lumps(tensors):
            _in_one_piece(lump, lambda flat: distributed.broadcast(flat, src=0))


def _lumps(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type and device that follow each other, up to the bucket's size."""
    for _, alike in groupby(tensors, key=lambda tensor: (tensor.dtype, tensor.device)):
        lump: list[Tensor] = []
        size = 0
        for tensor in alike:
            if lump and size + tensor.nbytes > _BUCKET_BYTES:
                yield lump
                lump, size = [], 0
            lump.append(tensor)
            size += tensor.nbytes
        yield lump


@torch.no_grad()
def _in_one_piece(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    _asked(lambda: exchange(flat))
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def _asked(exchange: Callable[[], object]) -> None:
    try:
        exchange()
    except RuntimeError as error:  # gloo's "connection closed by peer", NCCL's DistBackendError
        raise PeersLostError(f"The other processes do not answer: {error}") from error
