"""A linear model whose answer is known: least squares over sequences of unequal length."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from voxmill.training.batching import BucketPlan
from voxmill.training.config import TrainConfig
from voxmill.training.schedule import schedule_for
from voxmill.training.supervised import SummedLoss, SupervisedLearner

TRUTH = (2.0, -1.0, 0.5)
"""Weights that the data was made with; noise-free, so least squares finds exactly these."""


@dataclass(frozen=True)
class ToyBatch:
    """Padded sequences: inputs (B, T, 3), targets (B, T), lengths (B,)."""

    inputs: Tensor
    targets: Tensor
    lengths: Tensor


def toy_sequences(count: int, *, seed: int = 5) -> list[tuple[Tensor, Tensor]]:
    """`count` pairs of inputs (T, 3) and targets (T,), with T from 2 to 9."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        inputs = torch.from_numpy(random.normal(size=(random.integers(2, 10), 3))).float()
        pairs.append((inputs, inputs @ torch.tensor(TRUTH)))
    return pairs


def padded(pairs: list[tuple[Tensor, Tensor]]) -> ToyBatch:
    """One batch of sequences, filled up with zeros."""
    return ToyBatch(
        inputs=nn.utils.rnn.pad_sequence([x for x, _ in pairs], batch_first=True),
        targets=nn.utils.rnn.pad_sequence([y for _, y in pairs], batch_first=True),
        lengths=torch.tensor([len(y) for _, y in pairs]),
    )


@dataclass
class ToyBatches:
    """A batch source over toy sequences; a duration is a length in seconds."""

    pairs: list[tuple[Tensor, Tensor]]
    budget_seconds: float = 30.0
    seed: int = 1
    delay_seconds: float = 0.0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._plan = BucketPlan(
            [len(y) for _, y in self.pairs], self.budget_seconds, 8, 4, self.seed
        )

    def batch_count(self, epoch: int) -> int:
        return self._plan.batch_count

    def batch(self, epoch: int, position: int) -> ToyBatch:
        self.asked.append((epoch, position))
        time.sleep(self.delay_seconds)
        return padded([self.pairs[index] for index in self._plan.batches(epoch)[position]])


class ToyModel(nn.Module):
    """A linear map with dropout, so that training depends on the random generator's state."""

    def __init__(self, dropout: float = 0.1, *, norm: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3) if norm else None
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.norm is not None:
            inputs = self.norm(inputs.transpose(1, 2)).transpose(1, 2)  # (B, T, 3)
        return self.linear(self.dropout(inputs)).squeeze(-1)  # (B, T)


class ToyObjective:
    """Squared error, summed over the frames within the lengths."""

    def __init__(self, *, evaluation_delay_seconds: float = 0.0) -> None:
        self._delay = evaluation_delay_seconds

    def loss(self, model: nn.Module, batch: ToyBatch) -> SummedLoss:
        total = _squared_error(model, batch)
        frames = float(batch.lengths.sum())
        return SummedLoss(
            total=total,
            weight=frames,
            values={"utterances": len(batch.lengths), "audio_seconds": frames},
        )

    def validate(self, model: nn.Module, batches: Iterable[ToyBatch]) -> dict[str, float]:
        total = frames = 0.0
        for batch in batches:
            time.sleep(self._delay)
            total += float(_squared_error(model, batch))
            frames += float(batch.lengths.sum())
            torch.rand(1)  # an evaluation that draws must not change the training
        return {"loss": total / frames, "wer": min(1.0, total / frames)}


def _squared_error(model: nn.Module, batch: ToyBatch) -> Tensor:
    mask = torch.arange(batch.targets.shape[1])[None, :] < batch.lengths[:, None]  # (B, T)
    return ((model(batch.inputs) - batch.targets) ** 2)[mask].sum()


def toy_learner(
    config: TrainConfig,
    batches: ToyBatches,
    *,
    model: nn.Module | None = None,
    objective: ToyObjective | None = None,
) -> SupervisedLearner[ToyBatch]:
    """A learner whose start depends on the seed alone."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    return SupervisedLearner(
        model or ToyModel(), objective or ToyObjective(), config, schedule_for(config, batches)
    )
