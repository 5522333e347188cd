"""The network of a recipe, from scratch or on a pretrained encoder, and what it says of a batch.

Legend: B utterances, S output frames, V tokens, U labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voxmill.errors import DataError
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig, FeatureInput
from voxmill.families.ctc.hearing import Hearing, hearing_of
from voxmill.families.ctc.model import build_conformer
from voxmill.families.ctc.pretrained import build_voxformer, read_base
from voxmill.signal.standardise import FeatureSettings


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network and what it hears."""

    module: Any
    """A `ParakeetForCTC` or a `VoxformerForCTC`."""
    hearing: Hearing


def build(
    model: CtcModelConfig,
    *,
    tokens: int,
    base: Path | None = None,
    features: FeatureSettings | None = None,
    pretrained: bool = True,
    gradient_checkpointing: bool = False,
) -> Network:
    """The network of a recipe; what is not pretrained is drawn from torch's global generator.

    Args:
        model: The section `model`.
        tokens: Size of the vocabulary, blank included.
        base: Folder of the pretrained encoder, as prepare carries it; from scratch there is none.
        features: What prepare measured on the training split, where the input is features.
        pretrained: Whether to load the encoder's weights; not where a checkpoint follows.
        gradient_checkpointing: Computes activations again on the way back: less memory, a third
            more time.

    Raises:
        DataError: The pretrained encoder is of another kind, or damaged; or prepare has measured
            features where sound is heard, or the other way round.
        UsageError: There is no pretrained encoder.
    """
    if isinstance(model.encoder, ConformerEncoder):
        module: Any = build_conformer(model, model.encoder, tokens=tokens)
        hearing = hearing_of(model, _fitting(features, model))
    else:
        found = read_base(base, model.encoder, model)
        module = build_voxformer(model, model.encoder, found, tokens=tokens, pretrained=pretrained)
        hearing = found.hearing
    if gradient_checkpointing:
        module.gradient_checkpointing_enable({"use_reentrant": False})
    return Network(module=module, hearing=hearing)


def _fitting(features: FeatureSettings | None, model: CtcModelConfig) -> FeatureSettings | None:
    wanted = model.input_bins if isinstance(model.input, FeatureInput) else None
    found = None if features is None else features.dimensions
    if found != wanted:
        raise DataError(
            f"model.input is {model.input.kind} with {wanted or 'no'} dimensions, but prepare's "
            f"features.json has {found or 'none'}. Run ingest, audit and prepare again."
        )
    return features


def log_probabilities(
    network: nn.Module, hearing: Hearing, features: torch.Tensor, frames: torch.Tensor
) -> torch.Tensor:
    """The CTC head's log-probabilities of each token in each output frame.

    Args:
        network: The network.
        hearing: What it hears.
        features: What the front end gives of a batch.
        frames: (B,) int64 input frames of each utterance; what lies past them is masked.

    Returns:
        (B, S, V) float32, also under mixed precision: CTC sums many small numbers.
    """
    logits = network(**hearing.arguments(features, frames)).logits
    return torch.log_softmax(logits.float(), dim=-1)


def load_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fills a network from a flat dict of tensors.

    Raises:
        DataError: A parameter is missing, left over or of another shape.
    """
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - wanted.keys())
    shapes = sorted(
        name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape
    )
    if missing or unknown or shapes:
        raise DataError(
            "Checkpoint does not fit the model of this recipe: "
            f"missing {missing[:3] or 'none'}, left over {unknown[:3] or 'none'}, of another shape "
            f"{shapes[:3] or 'none'}. Train again, or use the recipe that it was trained with."
        )
    network.load_state_dict(dict(tensors))
