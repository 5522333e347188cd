"""The network from scratch: a Fast Conformer with a CTC head, transformers' `ParakeetForCTC`.

A released folder therefore loads anywhere with one call and no code of ours.
Conformer: Gulati et al., 2020; Fast Conformer: Rekesh et al., 2023; CTC: Graves et al., 2006.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import (
    LasrFeatureExtractor,
    ParakeetCTCConfig,
    ParakeetEncoderConfig,
    ParakeetFeatureExtractor,
    ParakeetForCTC,
)

from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig
from voxmill.signal.mel import MelSettings
from voxmill.text.tokenizer import BLANK_ID


def build_conformer(
    model: CtcModelConfig, sizes: ConformerEncoder, *, tokens: int
) -> ParakeetForCTC:
    """A network with fresh weights, drawn from torch's global generator.

    Args:
        model: Front end.
        sizes: The encoder.
        tokens: Size of the vocabulary, blank included.
    """
    network = ParakeetForCTC(network_config(model, sizes, tokens=tokens))
    _draw_weights(network)
    if model.normalise == "none":  # never with features, which are standardised
        _expect_log_energies(network)
    return network


def network_config(
    model: CtcModelConfig, sizes: ConformerEncoder, *, tokens: int
) -> ParakeetCTCConfig:
    """The configuration as transformers names it.

    Layers are never dropped: with four of them, one less is another model.
    """
    encoder = ParakeetEncoderConfig(
        hidden_size=sizes.d_model,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.d_ff,
        conv_kernel_size=sizes.kernel,
        subsampling_factor=sizes.subsampling,
        subsampling_conv_channels=sizes.subsampling_channels,
        num_mel_bins=model.input_bins,
        dropout=sizes.dropout,
        activation_dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
        layerdrop=0.0,
    )
    return ParakeetCTCConfig(vocab_size=tokens, pad_token_id=BLANK_ID, encoder_config=encoder)


def feature_extractor(settings: MelSettings) -> ParakeetFeatureExtractor | LasrFeatureExtractor:
    """The front end as transformers packages it."""
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
