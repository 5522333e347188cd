"""The network on a pretrained encoder: reads the base model's folder, freezes what stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoConfig, AutoModel, WhisperModel

from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.config import CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.hearing import WAV2VEC_CONVOLUTIONS, Hearing, hearing_of
from voxmill.families.ctc.modeling_voxformer import (
    WAVEFORM_ENCODERS,
    VoxformerConfig,
    VoxformerForCTC,
)
from voxmill.signal.waveform import WaveformSettings
from voxmill.training.optimiser import scale_learning_rate

_NOT_SIZES = frozenset({"architectures", "dtype", "torch_dtype", "transformers_version"})
_DROPOUTS = (
    *("dropout", "attention_dropout", "activation_dropout", "hidden_dropout"),
    *("feat_proj_dropout", "final_dropout", "layerdrop", "encoder_layerdrop"),
)


@dataclass(frozen=True, kw_only=True)
class Base:
    """A pretrained encoder on disk."""

    folder: Path
    config: Mapping[str, Any]
    """The encoder's configuration, without dropout: frozen layers keep everything."""
    hearing: Hearing


def read_base(folder: Path | None, encoder: PretrainedEncoder, model: CtcModelConfig) -> Base:
    """Reads and checks the configuration of a base model; its weights stay where they are.

    Raises:
        DataError: The folder is of another kind, rate or front end than the recipe says.
        UsageError: The recipe names no base model.
    """
    if folder is None or not folder.is_dir():
        raise UsageError(
            "model.encoder.kind is `pretrained`, but this run has no base model. Name one in "
            "base.model of the recipe (a hub id with base.revision, or a folder)."
        )
    values = _json(folder / "config.json")
    found = str(values.get("model_type"))
    if found != encoder.architecture:
        raise DataError(
            f"Base model {folder}: model.encoder.architecture is {encoder.architecture!r}, its "
            f"config.json says {found!r}. Correct the one, or base.model."
        )
    front = _optional_json(folder / "preprocessor_config.json")
    rate = int(front.get("sampling_rate", 16000))
    if rate != model.sample_rate_hz:
        raise DataError(
            f"Base model {folder} hears {rate} Hz, the recipe's recordings are resampled to "
            f"{model.sample_rate_hz} Hz (model.sample_rate_hz). Choose an encoder of that rate."
        )
    hearing = hearing_of(model)
    if encoder.architecture in WAVEFORM_ENCODERS:
        _refuse_other_convolutions(folder, values)
        settings = WaveformSettings(zero_mean_unit_variance=bool(front.get("do_normalize", True)))
        hearing = replace(hearing, frontend=settings)
    elif values.get("num_mel_bins", 80) != model.mel_bins:
        raise DataError(
            f"Base model {folder} hears {values.get('num_mel_bins', 80)} mel bands, "
            f"model.mel_bins is {model.mel_bins}. Set model.mel_bins to what it hears."
        )
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    for name in _DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    if hasattr(config, "apply_spec_augment"):  # ours is drawn for each utterance and epoch
        config.apply_spec_augment = False
    sizes = {name: value for name, value in config.to_dict().items() if name not in _NOT_SIZES}
    return Base(folder=folder, config={**sizes, "model_type": found}, hearing=hearing)


def build_voxformer(
    model: CtcModelConfig,
    encoder: PretrainedEncoder,
    base: Base,
    *,
    tokens: int,
    pretrained: bool,
) -> VoxformerForCTC:
    """The network; its encoder's top layers learn, at a learning rate of their own.

    Args:
        model: The section `model`.
        encoder: Its section `encoder`.
        base: The pretrained encoder.
        tokens: Size of the vocabulary, blank included.
        pretrained: Whether to load the encoder's weights.

    Raises:
        DataError: The weights are missing, pickled, or do not fit the configuration.
    """
    network = VoxformerForCTC(voxformer_config(model, encoder, base.config, tokens=tokens))
    if pretrained:
        network.encoder.load_state_dict(_weights(base))
    _freeze(network.encoder, encoder)
    scale_learning_rate(network.encoder, encoder.learning_rate_scale)
    return network


def voxformer_config(
    model: CtcModelConfig, encoder: PretrainedEncoder, base: Mapping[str, Any], *, tokens: int
) -> VoxformerConfig:
    """The configuration as a released folder carries it."""
    return VoxformerConfig(
        encoder_config=dict(base),
        vocab_size=tokens,
        hidden_size=encoder.d_model,
        blocks=encoder.blocks,
        layers_per_block=encoder.layers_per_block,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.d_ff,
        conv_kernel_size=encoder.kernel,
        dropout=encoder.dropout,
        ctc_weight=model.ctc_weight,
        decoder_layers=model.decoder.layers,
        decoder_attention_heads=model.decoder.heads,
        decoder_ffn_dim=model.decoder.d_ff,
        decoder_dropout=model.decoder.dropout,
    )


def _weights(base: Base) -> dict[str, Any]:
    folder = str(base.folder)
    loading = {"local_files_only": True, "use_safetensors": True, "dtype": "float32"}
    try:
        if base.config["model_type"] == "whisper":
            module = WhisperModel.from_pretrained(folder, **loading).encoder
        else:
            module = AutoModel.from_pretrained(folder, **loading)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"Base model {folder}: expected safetensors that fit its config.json, found: {error}. "
            "Only safetensors are read, because pickled weights may hold code; convert them with "
            "`model.save_pretrained(folder)` where you trust them, or choose a revision that has "
            "them."
        ) from error
    weights: dict[str, Any] = module.state_dict()
    return weights


def _freeze(encoder: Any, wanted: PretrainedEncoder) -> None:
    """Leaves the top layers learning; whatever is below has neither gradients nor dropout."""
    encoder.requires_grad_(requires_grad=False)
    waveform = wanted.architecture in WAVEFORM_ENCODERS
    stack = encoder.encoder if waveform else encoder
    top = list(stack.layers)[len(stack.layers) - min(wanted.trainable_layers, len(stack.layers)) :]
    for layer in top:
        layer.requires_grad_(requires_grad=True)
        for module in _with_dropout(layer):
            _set_dropout(module, wanted.dropout)
    if top and (not waveform or encoder.config.do_stable_layer_norm):
        stack.layer_norm.requires_grad_(requires_grad=True)
    if wanted.trainable_front:
        front = (
            (encoder.feature_extractor, encoder.feature_projection)
            if waveform
            else (encoder.conv1, encoder.conv2)
        )
        for part in front:
            part.requires_grad_(requires_grad=True)


def _with_dropout(layer: nn.Module) -> Iterator[nn.Module]:
    for module in layer.modules():
        if isinstance(module, nn.Dropout) or isinstance(getattr(module, "dropout", None), float):
            yield module


def _set_dropout(module: Any, share: float) -> None:
    if isinstance(module, nn.Dropout):
        module.p = share
        return
    for name in ("dropout", "activation_dropout"):
        if isinstance(getattr(module, name, None), float):
            setattr(module, name, share)


def _refuse_other_convolutions(folder: Path, values: Mapping[str, Any]) -> None:
    wanted = [list(column) for column in zip(*WAV2VEC_CONVOLUTIONS, strict=True)]
    found = [list(values.get(f"conv_{what}", wanted[i])) for i, what in enumerate(_CONVOLUTION)]
    if found != wanted:
        raise DataError(
            f"Base model {folder}: its convolutions have kernels {found[0]} and strides "
            f"{found[1]}; expected {wanted[0]} and {wanted[1]}, 20 ms a frame, as WavLM, "
            "wav2vec 2.0 and HuBERT have them. Choose one of these as base.model."
        )


_CONVOLUTION = ("kernel", "stride")


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(
            f"Base model {file.parent}: expected {file.name}, found none. base.model has to be a "
            "Hugging Face model, not a bare file of weights."
        )
    return _optional_json(file)


def _optional_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} cannot be read: {error}. Mirror the base model again.") from error
    return values if isinstance(values, dict) else {}
