"""Pretrained encoders in the slot: what they compute, what learns, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel, WhisperModel

from toys.small_bases import ARCHITECTURES, WHISPER_FRAMES, small_base
from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.config import AttentionDecoder, CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.hearing import batch_frontend
from voxmill.families.ctc.network import Network, build, log_probabilities
from voxmill.training.optimiser import adamw


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: small_base(folder / name, name) for name in ARCHITECTURES}


def sized(architecture: str, *, ctc_weight: float = 1.0, **sizes) -> CtcModelConfig:
    small = {"d_model": 16, "blocks": 2, "layers_per_block": 1, "heads": 2, "d_ff": 16, "kernel": 3}
    encoder = PretrainedEncoder(
        **{"kind": "pretrained", "architecture": architecture, "dropout": 0.0, **small, **sizes}
    )
    decoder = AttentionDecoder(layers=1, heads=2, d_ff=16, dropout=0.0)
    return CtcModelConfig(encoder=encoder, ctc_weight=ctc_weight, decoder=decoder)


def speech(*samples: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [(0.1 * generator.standard_normal(n)).astype(np.float32) for n in samples]


def scores_of(network: Network, batch: list[np.ndarray]) -> tuple[torch.Tensor, list[int]]:
    features, frames = batch_frontend(network.hearing.frontend)(batch)
    with torch.no_grad():
        scores = log_probabilities(network.module.eval(), network.hearing, features, frames)
    return scores, network.hearing.output_frames(frames).tolist()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_encoder_fits_the_slot_with_the_frames_that_prepare_counts(
    bases, architecture
) -> None:
    """Frames are a function of the recipe alone: prepare has no base model to ask."""
    model = sized(architecture)
    network = build(model, tokens=7, base=bases[architecture])
    for samples in (800, 3201, 16000, 20479):
        scores, frames = scores_of(network, speech(samples))
        assert frames == [CtcFamily().frames(samples / 16000, model)]
        assert scores.shape[1:] == (frames[0], 7)


@pytest.mark.parametrize("architecture", ["wavlm", "wav2vec2", "hubert"])
def test_a_waveform_encoder_computes_what_transformers_computes(bases, architecture) -> None:
    """The head on the encoder's own last hidden state, without any block between."""
    network = build(sized(architecture, blocks=0), tokens=7, base=bases[architecture])
    found, _ = scores_of(network, speech(16000))
    oracle = AutoModel.from_pretrained(str(bases[architecture]), local_files_only=True).eval()
    features, _ = batch_frontend(network.hearing.frontend)(speech(16000))
    with torch.no_grad():
        hidden = oracle(features).last_hidden_state
        expected = network.module.head(hidden).log_softmax(-1)
    assert (found - expected).abs().max() < 1e-4


def test_whisper_s_encoder_over_its_full_length_computes_what_transformers_computes(bases) -> None:
    """Our forward pass on sliced positions is theirs where nothing is sliced."""
    network = build(sized("whisper", blocks=0), tokens=7, base=bases["whisper"])
    samples = WHISPER_FRAMES * 160
    found, _ = scores_of(network, speech(samples))
    oracle = WhisperModel.from_pretrained(str(bases["whisper"]), local_files_only=True).eval()
    features, _ = batch_frontend(network.hearing.frontend)(speech(samples))
    with torch.no_grad():
        hidden = oracle.encoder(features.transpose(1, 2)).last_hidden_state
        expected = network.module.head(hidden).log_softmax(-1)
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("blocks", [0, 2])
def test_beside_a_longer_neighbour_whisper_hears_an_utterance_as_alone(bases, blocks) -> None:
    """Odd lengths too: the last frame of the second convolution looks past the end."""
    network = build(sized("whisper", blocks=blocks), tokens=7, base=bases["whisper"])
    short, long = speech(160 * 77, 160 * 200)
    together, frames = scores_of(network, [short, long])
    alone, _ = scores_of(network, [short])
    assert (together[0, : frames[0]] - alone[0]).abs().max() < 1e-4


@pytest.mark.parametrize("architecture", ["whisper", "wavlm"])
def test_only_the_top_layers_learn_and_at_their_own_rate(bases, architecture) -> None:
    """Frozen parts have neither gradients nor a place in the optimiser."""
    model = sized(architecture, trainable_layers=1, learning_rate_scale=0.1, dropout=0.3)
    network = build(model, tokens=7, base=bases[architecture]).module.train()
    learning = {name for name, p in network.encoder.named_parameters() if p.requires_grad}
    layers = "layers.2." if architecture == "whisper" else "encoder.layers.2."
    assert any(name.startswith(layers) for name in learning)
    assert all(name.startswith((layers, "layer_norm.")) for name in learning)
    groups = adamw(network, 1e-3, 0.01).param_groups
    scaled = {id(p) for group in groups if group["scale"] == 0.1 for p in group["params"]}
    assert scaled == {id(p) for p in network.encoder.parameters() if p.requires_grad}
    below = network.encoder.layers[0] if architecture == "whisper" else (
        network.encoder.encoder.layers[0]
    )  # fmt: skip
    shares = {m.p for m in below.modules() if isinstance(m, torch.nn.Dropout)}
    assert shares <= {0.0}
    assert getattr(below, "dropout", 0.0) == 0.0 or architecture == "wavlm"


def test_two_networks_from_one_folder_are_equal_where_it_has_weights(bases) -> None:
    """The encoder is what the folder holds, whatever the seed."""
    torch.manual_seed(1)
    one = build(sized("wavlm"), tokens=7, base=bases["wavlm"]).module
    torch.manual_seed(2)
    two = build(sized("wavlm"), tokens=7, base=bases["wavlm"]).module
    for (name, a), b in zip(
        one.encoder.state_dict().items(), two.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert not torch.equal(one.head.weight, two.head.weight)


def changed(bases, tmp_path: Path, name: str, file: str, **values) -> Path:
    folder = tmp_path / "changed"
    shutil.copytree(bases[name], folder)
    known = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**known, **values}))
    return folder


def test_an_encoder_of_another_kind_is_refused(bases) -> None:
    """The recipe says WavLM, the folder is Whisper."""
    with pytest.raises(DataError, match=r"architecture is 'wavlm'.*says 'whisper'.*base\.model"):
        build(sized("wavlm"), tokens=7, base=bases["whisper"])


def test_an_encoder_of_another_rate_is_refused(bases, tmp_path) -> None:
    """One trained on telephone speech would hear everything at half the speed."""
    base = changed(bases, tmp_path, "wavlm", "preprocessor_config.json", sampling_rate=8000)
    with pytest.raises(DataError, match=r"hears 8000 Hz.*16000 Hz"):
        build(sized("wavlm"), tokens=7, base=base)


def test_an_encoder_of_another_pace_is_refused(bases, tmp_path) -> None:
    """Frames of other than 20 ms would make prepare's count wrong."""
    base = changed(bases, tmp_path, "wavlm", "config.json", conv_stride=[5, 2, 2, 2, 2, 2, 4])
    with pytest.raises(DataError, match=r"strides \[5, 2, 2, 2, 2, 2, 4\]; expected"):
        build(sized("wavlm"), tokens=7, base=base)


def test_other_mel_bands_are_refused(tmp_path) -> None:
    """large-v3 hears 128."""
    base = small_base(tmp_path / "large", "whisper", num_mel_bins=128)
    with pytest.raises(DataError, match=r"hears 128 mel bands, model\.mel_bins is 80"):
        build(sized("whisper"), tokens=7, base=base)


def test_a_base_without_safetensors_is_refused_with_the_remedy(bases, tmp_path) -> None:
    """Pickled weights may hold code: they are never opened."""
    folder = tmp_path / "pickled"
    shutil.copytree(bases["wavlm"], folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"expected safetensors.*save_pretrained"):
        build(sized("wavlm"), tokens=7, base=folder)


def test_no_base_model_at_all_is_told_with_the_place_to_name_one(tmp_path) -> None:
    """The recipe asks for a pretrained encoder and forgets `base`."""
    with pytest.raises(UsageError, match=r"no base model.*base\.model of the recipe"):
        build(sized("wavlm"), tokens=7, base=tmp_path / "base")


def test_contradictions_are_told_before_anything_starts() -> None:
    """An attention decoder from scratch, and a rate that no encoder knows."""
    with pytest.raises(ValidationError, match=r"ctc_weight: found 0\.7; allowed: 1 with"):
        CtcModelConfig(ctc_weight=0.7)
    with pytest.raises(ValidationError, match=r"sample_rate_hz: found 8000; allowed: 16000"):
        CtcModelConfig(sample_rate_hz=8000, encoder=sized("wavlm").encoder)
