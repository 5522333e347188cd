"""A trained network in the pieces that packaging writes: for transformers and for ONNX.

Legend: B utterances, T mel frames, F mel bands, S output frames.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import ParakeetForCTC, ParakeetProcessor, ParakeetTokenizer

from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.model import (
    build,
    conformer_of,
    feature_extractor,
    load_weights,
    log_probabilities,
    mel_settings,
)
from voxmill.families.family import Exportable, OnnxGraph, Samples
from voxmill.signal.torch_mel import TorchLogMel
from voxmill.text.tokenizer import BLANK, BLANK_ID, TextTokenizer

TASK = "automatic-speech-recognition"
INPUTS = ("input_features", "mel_frames")
OUTPUTS = ("log_probabilities", "output_frames")


def exportable(
    *, tensors: Mapping[str, torch.Tensor], tokenizer: Path, model: CtcModelConfig
) -> Exportable:
    """The pieces of a trained model.

    Args:
        tensors: Parameters and buffers by name, as the learner's state holds them.
        tokenizer: Folder that prepare wrote.
        model: Sizes.

    Raises:
        DataError: The tensors do not fit the model, or the tokenizer cannot be read.
    """
    text = TextTokenizer.from_folder(tokenizer)
    network = build(model, tokens=text.size, gradient_checkpointing=False)
    load_weights(network, tensors)
    network.eval()
    frontend = mel_settings(model).to_json()
    return Exportable(
        network=network,
        processor=_processor(tokenizer, model),
        task=TASK,
        summary=_summary(network, model, tokens=text.size),
        graph=acoustic_graph(network, model),
        tokenizer=tokenizer,
        frontend=frontend,
        metadata={
            "family": "ctc",
            "vocabulary": json.dumps(text.tokens, ensure_ascii=False),
            "blank": str(BLANK_ID),
            "frontend": json.dumps(frontend, sort_keys=True),
            "subsampling": str(conformer_of(model).subsampling),
        },
    )


def acoustic_graph(network: ParakeetForCTC, model: CtcModelConfig) -> OnnxGraph:
    """What ONNX holds: features and their lengths in, log-probabilities and their lengths out."""
    front_end = TorchLogMel(mel_settings(model))

    def example(batch: Sequence[Samples]) -> tuple[Any, ...]:
        features, mel_frames = front_end(batch)
        return features[:, : int(mel_frames.max())], mel_frames

    module = _AcousticGraph(network, conformer_of(model).subsampling)
    return OnnxGraph(
        module=module.eval(),
        inputs=INPUTS,
        outputs=OUTPUTS,
        dynamic_axes={
            "input_features": {0: "batch", 1: "mel_frames"},
            "mel_frames": {0: "batch"},
            "log_probabilities": {0: "batch", 1: "output_frames"},
            "output_frames": {0: "batch"},
        },
        example=example,
    )


class _AcousticGraph(nn.Module):
    def __init__(self, network: ParakeetForCTC, subsampling: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.subsampling = subsampling
        for layer in self.network.encoder.layers:
            layer.conv.pointwise_conv1 = _PointwiseAsMatMul(layer.conv.pointwise_conv1)
            layer.conv.pointwise_conv2 = _PointwiseAsMatMul(layer.conv.pointwise_conv2)

    def forward(
        self, input_features: torch.Tensor, mel_frames: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = log_probabilities(self.network, input_features, mel_frames)  # (B, S, tokens)
        return scores, (mel_frames + self.subsampling - 1) // self.subsampling


class _PointwiseAsMatMul(nn.Module):
    """A convolution of width one as a matrix product.

    ONNX Runtime quantises matrix products well and convolutions badly: this makes int8 15 % faster
    and the file a fifth smaller, fp32 up to 10 % faster (bench/onnx_speed.py).
    """

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach().squeeze(-1).clone())
        self.bias = (
            nn.Parameter(convolution.bias.detach().clone())
            if (convolution.bias is not None)
            else None
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden.transpose(1, 2), self.weight, self.bias).transpose(1, 2)


def _summary(network: ParakeetForCTC, model: CtcModelConfig, *, tokens: int) -> str:
    sizes = conformer_of(model)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    kind = {"character": "characters", "bpe": "BPE pieces", "word": "words"}[model.vocabulary.kind]
    return (
        f"A Fast Conformer with a CTC head, trained from scratch: {sizes.layers} layers of width "
        f"{sizes.d_model}, {millions:.2f} million parameters, {model.sample_rate_hz} Hz audio, "
        f"{10 * sizes.subsampling} ms a frame, {tokens} tokens ({kind}, blank included)."
    )


def _processor(tokenizer: Path, model: CtcModelConfig) -> ParakeetProcessor:
    processor = ParakeetProcessor(
        feature_extractor(model),
        ParakeetTokenizer.from_pretrained(str(tokenizer)),
        blank_token=BLANK,
        decoder_type="ctc",
    )
    processor.audio_kwargs = {
        **processor.audio_kwargs,
        "sampling_rate": model.sample_rate_hz,
        "subsampling_factor": conformer_of(model).subsampling,
    }
    return processor
