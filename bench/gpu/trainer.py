"""transformers' Trainer on the same network, micro-batches, optimiser, schedule and loss."""

from __future__ import annotations

import time
from typing import Any, Self
from unittest.mock import patch

import torch
from gpu.job import Job, OneEpoch, kit_of, result_of
from gpu.window import Window
from torch import nn
from torch.utils.data.dataloader import _BaseDataLoaderIter
from transformers import Trainer, TrainerCallback, TrainingArguments

from voxmill.families.ctc.batch import CtcBatch
from voxmill.training.optimiser import adamw

NO_LABEL = -100
"""Padding of labels as transformers' Trainer counts them."""


def run_trainer(job: Job) -> dict[str, Any]:
    """Trains with the Trainer; what it counts is handed over as tensors, which wait for nothing."""
    kit = kit_of(job)
    learner: Any = kit.learner
    # Without the casts that our accelerator put around `forward`: Trainer puts its own there.
    network = learner._accelerator.unwrap_model(learner._model, keep_fp32_wrapper=False)
    window = Window(warm_up=job.warm_up, updates=job.updates)
    config, model = job.recipe.train, _WithLoss(network, learner._objective)
    optimiser = adamw(network, config.learning_rate, config.weight_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learner._schedule.rate(step + 1) / config.learning_rate
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=job.work,
            max_steps=job.warm_up + job.updates,
            per_device_train_batch_size=1,  # an item is a whole micro-batch
            gradient_accumulation_steps=config.accumulation,
            max_grad_norm=config.clip_norm,
            bf16=config.precision == "bf16",
            fp16=config.precision == "fp16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=job.trainer_workers,
            logging_steps=config.log_every_steps or 50,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            train_sampling_strategy="sequential",
        ),
        train_dataset=_Items(OneEpoch(kit.batches, job.micro_batches)),
        data_collator=lambda items: items[0],
        optimizers=(optimiser, rates),
        callbacks=[_Callback(window)],
    )
    with _Waiting(window) as waiting:
        trainer.train()
    per_update = [
        slice(start, start + config.accumulation)
        for start in range(0, job.micro_batches, config.accumulation)
    ]
    return result_of(
        job,
        kit,
        window,
        losses=[float(sum(model.losses[part])) for part in per_update],
        audio=[float(sum(model.seconds[part])) for part in per_update],
        wait=waiting.seconds,
    )


class _Items(torch.utils.data.Dataset):
    """Micro-batches as transformers' Trainer takes them."""

    def __init__(self, batches: OneEpoch) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return self._batches.batch_count(0)

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        batch = self._batches.batch(0, position)
        padding = torch.arange(batch.labels.shape[1]) >= batch.label_counts[:, None]
        return {
            "features": batch.features,
            "frames": batch.frames,
            "labels": batch.labels.masked_fill(padding, NO_LABEL),
            "label_counts": batch.label_counts,
            "seconds": torch.tensor(batch.seconds),
        }


class _WithLoss(nn.Module):
    """The network and its objective as one module, as transformers' Trainer asks of a model."""

    accepts_loss_kwargs = True

    def __init__(self, network: nn.Module, objective: Any) -> None:
        super().__init__()
        self.network = network
        self._objective = objective
        self.losses: list[torch.Tensor] = []  # as tensors: to look at one would wait for the GPU
        self.seconds: list[torch.Tensor] = []

    def forward(
        self,
        features: torch.Tensor,
        frames: torch.Tensor,
        labels: torch.Tensor,
        label_counts: torch.Tensor,
        seconds: torch.Tensor,
        num_items_in_batch: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        batch = CtcBatch(
            features=features,
            frames=frames,
            labels=labels.clamp(min=0),
            label_counts=label_counts,
            texts=("",) * len(labels),
            seconds=0.0,
        )
        loss = self._objective.loss(self.network, batch).total / num_items_in_batch
        self.losses.append(loss.detach())
        self.seconds.append(seconds)
        return {"loss": loss}


class _Waiting:
    """Counts the time in which transformers' Trainer waits for its loader in the measured updates.

    Around the loader's own `next`: what comes after it moves the batch to the GPU, and on the way
    waits for what the GPU still computes.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self.seconds = 0.0

    def __enter__(self) -> Self:
        plain = _BaseDataLoaderIter.__next__

        def timed(loader: Any) -> Any:
            started = time.perf_counter()
            try:
                return plain(loader)
            finally:
                self.seconds += time.perf_counter() - started if self._window.open else 0.0

        self._patch = patch.object(_BaseDataLoaderIter, "__next__", timed)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


class _Callback(TrainerCallback):
    def __init__(self, window: Window) -> None:
        self._window = window

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self._window.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._window.updated()
