"""A learner for every model that is trained by one loss and one optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor, nn

from voxmill.errors import DataError, TrainingFailed, UsageError
from voxmill.training.config import TrainConfig
from voxmill.training.distributed import team_here
from voxmill.training.optimiser import adamw
from voxmill.training.randomness import (
    own_randomness,
    random_states,
    restore_random_states,
    untouched_randomness,
)
from voxmill.training.schedule import Schedule
from voxmill.training.team import Team
from voxmill.training.team_gradients import LocalSums, WindowSums, share_gradients
from voxmill.training.team_statistics import statistics_of

BatchT = TypeVar("BatchT")
BatchT_contra = TypeVar("BatchT_contra", contravariant=True)

MAX_CONSECUTIVE_SKIPS = 20
"""fp16 starts with a scale of 65536 and halves it at each overflow: 16 skips are still sound."""


@dataclass(frozen=True, kw_only=True)
class SummedLoss:
    """The loss of a batch as a sum, with what it is to be divided by."""

    total: Tensor
    """() sum over the batch, with its graph."""
    weight: float
    """What the sum is over: utterances, tokens or frames. 0 adds nothing to the update."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Further sums by name: `utterances`, `audio_seconds`, `infinite_losses`, …; and parts of the
    loss (`ctc_loss`), which are divided by the weight as the whole is."""


class Objective(Protocol[BatchT_contra]):
    """What a model is trained for and measured by."""

    def loss(self, model: nn.Module, batch: BatchT_contra) -> SummedLoss:
        """The summed loss of one micro-batch; the model is in training mode."""

    def validate(self, model: nn.Module, batches: Iterable[BatchT_contra]) -> dict[str, float]:
        """Figures over all batches; the model is in evaluation mode, without gradients."""


class SupervisedLearner(Generic[BatchT]):
    """AdamW with clipping, a schedule and mixed precision around a model and its objective."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective[BatchT],
        config: TrainConfig,
        schedule: Schedule,
        *,
        accelerator: Accelerator | None = None,
        team: Team | None = None,
    ) -> None:
        """Places the model on its device and makes the optimiser.

        Args:
            model: Parameters that do not require gradients stay as they are.
            objective: Its loss and its figures.
            config: The `train` section.
            schedule: Learning rate of each update.
            accelerator: None: one for this machine and `config.precision`.
            team: The processes that train this model; None: those that this one was started with.

        Raises:
            UsageError: `precision: fp16` without a GPU.
        """
        self._team = team or team_here()
        self._accelerator = accelerator or accelerator_for(config)
        # `evaluation_mode` leaves out DistributedDataParallel, see training/distributed.py.
        self._model = self._accelerator.prepare_model(model, evaluation_mode=True)
        self._team.copy_first([*model.parameters(), *model.buffers()])
        self._objective = objective
        self._schedule = schedule
        self._clip_norm = config.clip_norm
        self._optimiser = adamw(model, config.learning_rate, config.weight_decay)
        self._parameters = [p for group in self._optimiser.param_groups for p in group["params"]]
        self._statistics = statistics_of(model, self._team)
        self._seed = config.seed
        self._updates = 0
        self._skips_in_a_row = 0

    @property
    def model(self) -> nn.Module:
        """The model as it was given, on its device."""
        model: nn.Module = self._accelerator.unwrap_model(self._model)
        return model

    def step(self, window: Sequence[BatchT]) -> dict[str, float]:
        """Makes one update that equals that of one big batch; see `Learner.step`.

        Of several processes each takes its own part of the window, and all make the same update.

        An update whose loss or gradient is not finite, or that has no weight at all, is left out:
        weights, moments and running statistics stay as they were.

        Raises:
            TrainingFailed: Too many updates in a row were not finite.
        """
        self._updates += 1
        if not self._model.training:  # walking through a deep model's modules costs half a step
            self._model.train()
        rate = self._schedule.rate(self._updates)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        self._statistics.remember()
        sums = self._accumulate(window)
        loss, norm = sums.loss, self._clipped_norm()
        finite = math.isfinite(loss) and math.isfinite(norm)
        self._update(finite=finite)
        self._count_skip(loss, norm, finite=finite)
        return {
            **sums.values,
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": rate,
            "skipped_updates": 0.0 if finite else 1.0,
        }

    def validate(self, batches: Iterable[BatchT]) -> dict[str, float]:
        """Measures the model; its weights and all random generators stay as they are."""
        self._model.eval()
        try:
            with untouched_randomness(), torch.no_grad():
                return self._objective.validate(self._model, map(self._placed, batches))
        finally:
            self._model.train()

    def state(self) -> dict[str, Any]:
        """See `Learner.state`."""
        scaler = self._accelerator.scaler
        return {
            "model": dict(self.model.state_dict()),
            "optimiser": self._optimiser.state_dict(),
            "scaler": {} if scaler is None else scaler.state_dict(),
            "updates": self._updates,
            "skips_in_a_row": self._skips_in_a_row,
            **random_states(self._team),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Learner.load`."""
        try:
            self.model.load_state_dict(state["model"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"The checkpoint is not of this model: {error}. Start a new run after a change "
                f"of the `model` section."
            ) from error
        if self._accelerator.scaler is not None and state["scaler"]:
            self._accelerator.scaler.load_state_dict(state["scaler"])
        self._updates = int(state["updates"])
        self._skips_in_a_row = int(state["skips_in_a_row"])
        restored = restore_random_states(state, self._team)
        if not restored:  # saved by another number of processes
            own_randomness(self._seed, self._team, after=self._updates)

    def _accumulate(self, window: Sequence[BatchT]) -> WindowSums:
        """Leaves the mean gradient of the whole window, in all processes, in the parameters.

        The window's weight is known only after its last batch. Until then losses are divided by
        a guess (the first batch's weight for each), which keeps fp16 in range; one multiplication
        at the end makes it exact.
        """
        local = LocalSums()
        guess = 0.0
        for batch in window:
            loss = self._objective.loss(self._model, self._placed(batch))
            guess = guess or loss.weight * len(window)
            local.add(loss.total, loss.weight, loss.values)
            if loss.weight > 0:
                self._accelerator.backward(loss.total / guess)
            self._statistics.batch_done()
        sums = share_gradients(self._parameters, local, self._team, scaled_by=guess)
        self._statistics.window_done(sums.batches)
        return sums

    def _clipped_norm(self) -> float:
        """The gradient's norm before it was clipped; process 0's, so that all clip alike."""
        scaler = self._accelerator.scaler
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if scaler is not None and gradients:
            # Makes it ready in a process whose first window has no batch.
            scaler.scale(torch.zeros((), device=self._accelerator.device))
            scaler.unscale_(self._optimiser)
        norm = nn.utils.get_total_norm(gradients)
        self._team.copy_first([norm])
        nn.utils.clip_grads_with_norm_(self._parameters, self._clip_norm, norm)
        return float(norm)

    def _update(self, *, finite: bool) -> None:
        scaler = self._accelerator.scaler
        has_gradients = any(parameter.grad is not None for parameter in self._parameters)
        if finite and scaler is not None:
            scaler.step(self._optimiser)
        elif finite:
            self._optimiser.step()
        else:
            self._statistics.put_back()
        if scaler is not None and has_gradients:  # it refuses where there was nothing to unscale
            scaler.update()
        self._optimiser.zero_grad(set_to_none=True)

    def _count_skip(self, loss: float, norm: float, *, finite: bool) -> None:
        self._skips_in_a_row = 0 if finite else self._skips_in_a_row + 1
        if self._skips_in_a_row >= MAX_CONSECUTIVE_SKIPS:
            raise TrainingFailed(
                f"Step {self._updates}: {self._skips_in_a_row} updates in a row were not finite "
                f"(loss {loss}, gradient norm {norm}, learning rate "
                f"{self._schedule.rate(self._updates):.3g}). Lower train.learning_rate, lengthen "
                f"train.warmup_steps, or use precision bf16 or no."
            )

    def _placed(self, batch: BatchT) -> BatchT:
        if self._accelerator.device.type == "cpu":
            return batch
        placed: BatchT = send_to_device(batch, self._accelerator.device)
        return placed


def accelerator_for(config: TrainConfig) -> Accelerator:
    """The accelerator of this machine at the precision of the `train` section.

    Raises:
        UsageError: `precision: fp16` without a GPU; accelerate would silently train in fp32.
    """
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise UsageError(
            "train.precision is fp16, but this machine has no GPU for it. "
            "Set train.precision to `no` or `bf16`."
        )
    return Accelerator(mixed_precision=config.precision)
