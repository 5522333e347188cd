"""The network has the frames that are promised and the weights that were saved."""

from __future__ import annotations

import pytest
import torch

from toys.tone_speech import MODEL
from voxmill.errors import DataError
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.hearing import hearing_of
from voxmill.families.ctc.model import feature_extractor, settings_of
from voxmill.families.ctc.network import build, load_weights, log_probabilities

HEARING = hearing_of(CtcModelConfig())


def sized(subsampling: int, rate_hz: int = 16000, normalise: str = "utterance") -> CtcModelConfig:
    encoder = ConformerEncoder(
        d_model=16, layers=1, heads=2, d_ff=16, kernel=3, subsampling=subsampling,
        subsampling_channels=4,
    )  # fmt: skip
    return CtcModelConfig(sample_rate_hz=rate_hz, mel_bins=24, encoder=encoder, normalise=normalise)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("subsampling", [2, 4, 8])
@pytest.mark.parametrize("normalise", ["utterance", "none"])
def test_frames_are_what_the_real_model_gives(subsampling, rate_hz, normalise) -> None:
    """For sixty lengths: transformers' extractor, then its model's own output mask."""
    model = sized(subsampling, rate_hz, normalise)
    network = build(model, tokens=5).module
    extractor = feature_extractor(hearing_of(model).frontend)
    hop = rate_hz // 100
    lengths = [4 * hop + k * (hop // 2 + 7) for k in range(60)]
    for samples in lengths:
        constant = torch.zeros(samples).numpy() + 0.1
        heard = extractor(constant, sampling_rate=rate_hz, return_attention_mask=True)
        mask = heard.attention_mask
        real = int(network._get_output_attention_mask(mask).sum())
        assert CtcFamily().frames(samples / rate_hz, model) == real, samples


@pytest.mark.parametrize("normalise", ["utterance", "none"])
def test_settings_are_read_back_from_the_extractor(normalise) -> None:
    """A packaged folder holds the extractor alone: it says all that counting frames needs."""
    model = sized(4, 8000, normalise)
    settings = hearing_of(model).frontend
    assert settings_of(feature_extractor(settings)) == settings


def test_log_energies_enter_the_network_as_normalised_features_do() -> None:
    """With equal draws, shifted and scaled features leave the first convolution as others do."""
    outputs = []
    normalised = torch.randn(1, 1, 60, 24)
    for normalise, features in (("utterance", normalised), ("none", 4 * normalised - 4)):
        torch.manual_seed(0)
        network = build(sized(4, normalise=normalise), tokens=5).module
        first = network.encoder.subsampling.layers[0]
        with torch.no_grad():
            outputs.append(first(features)[:, :, 1:-1, 1:-1])  # the border sees padding
    assert torch.allclose(outputs[0], outputs[1], atol=1e-4)


def test_the_network_gives_at_least_the_promised_frames() -> None:
    """What the formula says is really there to be scored."""
    model = sized(4)
    network = build(model, tokens=5).module.eval()
    for frames in range(2, 40):
        scores = log_probabilities(
            network, HEARING, torch.randn(1, frames, 24), torch.tensor([frames])
        )
        assert scores.shape == (1, -(-frames // 4), 5)
        assert torch.allclose(scores.exp().sum(-1), torch.ones(()), atol=1e-5)


def test_padding_changes_no_score() -> None:
    """Beside a longer neighbour an utterance scores as it does alone."""
    network = build(sized(4), tokens=5).module.eval()
    features = torch.randn(2, 60, 24)
    features[1, 31:] = 0
    with torch.no_grad():
        together = log_probabilities(network, HEARING, features, torch.tensor([60, 31]))
        alone = log_probabilities(network, HEARING, features[1:, :31], torch.tensor([31]))
    assert (together[1, :8] - alone[0]).abs().max() < 1e-4


def test_gradient_checkpointing_saves_memory_and_changes_no_gradient() -> None:
    """The same weights give the same gradient either way."""
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network = build(MODEL, tokens=6, gradient_checkpointing=checkpointing).module.train()
        assert network.encoder.gradient_checkpointing is checkpointing
        torch.manual_seed(1)
        scores = log_probabilities(network, HEARING, torch.randn(2, 40, 40), torch.tensor([40, 30]))
        scores[:, :, 1].sum().backward()
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 20
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.allclose(plain, recomputed, atol=1e-5)


def test_weights_that_do_not_fit_are_named() -> None:
    """Missing, left over and misshapen tensors are told apart, with the remedy."""
    network = build(MODEL, tokens=6).module
    tensors = dict(network.state_dict())
    load_weights(network, tensors)
    bias = tensors.pop("ctc_head.bias")
    with pytest.raises(DataError, match=r"missing \['ctc_head.bias'\]"):
        load_weights(network, tensors)
    with pytest.raises(DataError, match=r"left over \['stranger'\]"):
        load_weights(network, {**tensors, "ctc_head.bias": bias, "stranger": bias})
    with pytest.raises(DataError, match=r"another shape \['ctc_head.bias'\].*Train again"):
        load_weights(network, {**tensors, "ctc_head.bias": bias[:3]})


def test_fresh_weights_keep_the_signal_alive() -> None:
    """Two utterances that differ are told apart at the output before any training."""
    torch.manual_seed(0)
    network = build(CtcModelConfig(), tokens=18).module.eval()
    with torch.no_grad():
        scores = log_probabilities(network, HEARING, torch.randn(2, 80, 80), torch.tensor([80, 80]))
    assert (scores[0] - scores[1]).abs().mean() > 0.05
