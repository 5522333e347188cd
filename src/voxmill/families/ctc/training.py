"""Puts together what the loop needs: network, objective, learner and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from voxmill.corpus.feature_shards import open_shards
from voxmill.corpus.features import read_settings
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.data import Speech, TrainingBatches, ValidationBatches
from voxmill.families.ctc.hearing import Hearing, hearing_of
from voxmill.families.ctc.network import build
from voxmill.families.ctc.objective import CtcObjective
from voxmill.families.ctc.starting import start_from
from voxmill.families.family import TrainingKit
from voxmill.text.tokenizer import TextTokenizer
from voxmill.training.config import TrainConfig
from voxmill.training.randomness import seed_everything
from voxmill.training.schedule import schedule_for
from voxmill.training.selection import select
from voxmill.training.supervised import SupervisedLearner


def training_kit(
    *,
    prepared: Path,
    utterances: Sequence[PreparedUtterance],
    model: CtcModelConfig,
    train: TrainConfig,
    stop: Callable[[], bool],
) -> TrainingKit:
    """Builds the network (what is fresh in it seeded by `train.seed`), learner and batches.

    Raises:
        DataError: A split is empty, or its tokenizer, shards or base model cannot be read.
        UsageError: The recipe has no base model for its pretrained encoder, or asks for fp16
            without a GPU.
    """
    del stop  # nothing here takes long: takes are drawn and features computed batch by batch
    tokenizer = TextTokenizer.from_folder(prepared / "tokenizer")
    rate_hz = hearing_of(model).frontend.sample_rate_hz
    chosen = select(_split(utterances, "train"), train, sample_rate_hz=rate_hz)
    if not chosen.utterances:
        raise DataError(
            f"Split `train`: all {chosen.skipped} utterances are longer than train.max_seconds "
            f"{train.max_seconds:g} or train.max_labels {train.max_labels}. Raise them."
        )
    validation = _split(utterances, "validation")
    seed_everything(train.seed)
    network = build(
        model,
        tokens=tokenizer.size,
        base=prepared / "base",
        features=read_settings(prepared),
        gradient_checkpointing=train.gradient_checkpointing,
    )
    started = start_from(network.module, prepared / "init")
    separator = _separator(model, tokenizer)
    batches = TrainingBatches(
        _speech(prepared, chosen.utterances, network.hearing, separator), train
    )
    learner = SupervisedLearner(
        network.module,
        CtcObjective(
            tokenizer,
            network.hearing,
            ctc_weight=model.ctc_weight,
            label_smoothing=model.decoder.label_smoothing,
        ),
        train,
        schedule_for(train, batches),
    )
    figures = batches.plan(0).figures(0)
    return TrainingKit(
        learner=learner,
        batches=batches,
        validation=ValidationBatches(
            _speech(prepared, validation, network.hearing, separator), train
        ),
        notes={
            **_parameters(network.module),
            "utterances": float(len(chosen.utterances)),
            "skipped_utterances": float(chosen.skipped),
            "truncated_utterances": float(chosen.truncated),
            "padding_share": figures.padding_share,
            "largest_to_mean_batch": figures.largest_to_mean,
        },
        accounts={} if started is None else {"init": started.as_json()},
    )


def _split(utterances: Sequence[PreparedUtterance], name: str) -> list[PreparedUtterance]:
    found = [utterance for utterance in utterances if utterance.split == name]
    if not found:
        raise DataError(
            f"Split `{name}` is empty: training needs utterances in `train` and in `validation`. "
            f"Raise prepare.split.validation_share, or name the split in prepare.split.assign."
        )
    return found


def _separator(model: CtcModelConfig, tokenizer: TextTokenizer) -> tuple[int, ...]:
    # BPE and words mark the start of each word by themselves; characters write the space between.
    return tokenizer.encode(" ") if model.vocabulary.kind == "character" else ()


def _speech(
    prepared: Path,
    utterances: Sequence[PreparedUtterance],
    hearing: Hearing,
    separator: tuple[int, ...],
) -> Speech:
    return Speech(
        utterances=utterances,
        reader=open_shards(prepared),
        hearing=hearing,
        separator=separator,
    )


def _parameters(network: nn.Module) -> dict[str, float]:
    """How many there are, and how many of them learn."""
    return {
        "parameters": float(sum(p.numel() for p in network.parameters())),
        "learning_parameters": float(
            sum(p.numel() for p in network.parameters() if p.requires_grad)
        ),
    }
