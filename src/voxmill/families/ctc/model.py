"""The network: a Fast Conformer with a CTC head, as transformers' `ParakeetForCTC`.

A released folder therefore loads anywhere with one call and no code of ours.
Conformer: Gulati et al., 2020; Fast Conformer: Rekesh et al., 2023; CTC: Graves et al., 2006.

Legend: B utterances, T mel frames, F mel bands, S output frames (S = ceil(T / subsampling)).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers import (
    LasrFeatureExtractor,
    ParakeetCTCConfig,
    ParakeetEncoderConfig,
    ParakeetFeatureExtractor,
    ParakeetForCTC,
)

from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig
from voxmill.signal.mel import MelSettings
from voxmill.text.tokenizer import BLANK_ID


def conformer_of(model: CtcModelConfig) -> ConformerEncoder:
    """The sizes of an encoder from scratch.

    Raises:
        UsageError: The recipe asks for a pretrained encoder.
    """
    if isinstance(model.encoder, ConformerEncoder):
        return model.encoder
    raise UsageError(
        f"model.encoder.kind: found `pretrained` (base {model.encoder.base}); this version trains "
        "encoders from scratch only, pretrained ones come with the recipe voxformer. "
        "Set model.encoder.kind to `conformer`."
    )


def mel_settings(model: CtcModelConfig) -> MelSettings:
    """The front end that the model hears through."""
    return MelSettings.for_rate(model.sample_rate_hz, model.mel_bins, model.normalise)


def output_frames(mel_frames: int, subsampling: int) -> int:
    """Output frames of so many mel frames; each convolution of stride 2 halves and rounds up."""
    return -(-mel_frames // subsampling)


def build(model: CtcModelConfig, *, tokens: int, gradient_checkpointing: bool) -> ParakeetForCTC:
    """A network with fresh weights, drawn from torch's global generator.

    Args:
        model: Sizes.
        tokens: Size of the vocabulary, blank included.
        gradient_checkpointing: Computes activations again on the way back: less memory, a third
            more time.

    Raises:
        UsageError: The recipe asks for a pretrained encoder.
    """
    network = ParakeetForCTC(network_config(model, tokens=tokens))
    _draw_weights(network)
    if model.normalise == "none":
        _expect_log_energies(network)
    if gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    return network


def network_config(model: CtcModelConfig, *, tokens: int) -> ParakeetCTCConfig:
    """The configuration as transformers names it.

    Layers are never dropped: with four of them, one less is another model.
    """
    sizes = conformer_of(model)
    encoder = ParakeetEncoderConfig(
        hidden_size=sizes.d_model,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.d_ff,
        conv_kernel_size=sizes.kernel,
        subsampling_factor=sizes.subsampling,
        subsampling_conv_channels=sizes.subsampling_channels,
        num_mel_bins=model.mel_bins,
        dropout=sizes.dropout,
        activation_dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
        layerdrop=0.0,
    )
    return ParakeetCTCConfig(vocab_size=tokens, pad_token_id=BLANK_ID, encoder_config=encoder)


def feature_extractor(model: CtcModelConfig) -> ParakeetFeatureExtractor | LasrFeatureExtractor:
    """The front end as transformers packages it."""
    settings = mel_settings(model)
    sizes = {
        "feature_size": settings.mel_bins,
        "sampling_rate": settings.sample_rate_hz,
        "hop_length": settings.hop_samples,
        "win_length": settings.window_samples,
        "n_fft": settings.fft_samples,
    }
    if settings.normalise == "none":
        return LasrFeatureExtractor(**sizes)
    return ParakeetFeatureExtractor(**sizes, preemphasis=settings.preemphasis)


def settings_of(extractor: ParakeetFeatureExtractor | LasrFeatureExtractor) -> MelSettings:
    """The settings that an extractor of `feature_extractor` was made from."""
    return MelSettings.for_rate(
        extractor.sampling_rate,
        extractor.feature_size,
        "none" if isinstance(extractor, LasrFeatureExtractor) else "utterance",
    )


def log_probabilities(
    network: nn.Module, features: torch.Tensor, mel_frames: torch.Tensor
) -> torch.Tensor:
    """Log-probabilities of each token in each output frame.

    Args:
        network: A `ParakeetForCTC`.
        features: (B, T, F) float32.
        mel_frames: (B,) int64 frames of each utterance; what lies past them is masked.

    Returns:
        (B, S, tokens) float32, also under mixed precision: CTC sums many small numbers.
    """
    inside = torch.arange(features.shape[1], device=features.device) < mel_frames[:, None]
    logits = network(input_features=features, attention_mask=inside).logits
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


def _draw_weights(network: ParakeetForCTC) -> None:
    """Draws each layer's weights by its own width (torch's default, He et al., 2015).

    Parakeet's own N(0, 0.02) suits a width of 1024; at a width of 96 the signal fades by a factor
    of five in each layer and the model stays on blanks several times longer.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            layer.reset_parameters()


def _expect_log_energies(network: ParakeetForCTC) -> None:
    """Lets the first convolution take log energies as it would take normalised features.

    It is drawn for zero mean and unit variance; those of speech lie between -11.5, the floor, and
    about 4. The shift and the scale go into its weights.
    """
    first = network.encoder.subsampling.layers[0]
    with torch.no_grad():
        first.weight /= _LOG_ENERGY_DEVIATION
        first.bias -= _LOG_ENERGY_MEAN * first.weight.sum((1, 2, 3))


_LOG_ENERGY_MEAN, _LOG_ENERGY_DEVIATION = -4.0, 4.0
