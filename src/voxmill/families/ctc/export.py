"""A trained network in the pieces that packaging writes: for transformers and for ONNX.

Legend: B utterances, T mel frames (or steps of features), F mel bands (or dimensions), S output
frames.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.models.parakeet.modeling_parakeet import ParakeetEncoderConvolutionModule

from voxmill.corpus.features import read_settings
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.hearing import batch_frontend
from voxmill.families.ctc.hub import code_of, processor_of, summary_of
from voxmill.families.ctc.network import Network, build, load_weights, log_probabilities
from voxmill.families.family import Exportable, OnnxGraph, Samples
from voxmill.signal.frontend import settings_to_json
from voxmill.signal.standardise import FeatureSettings
from voxmill.signal.waveform import WaveformSettings
from voxmill.text.tokenizer import BLANK_ID, TextTokenizer

TASK = "automatic-speech-recognition"
INPUTS = ("input_features", "mel_frames")
OUTPUTS = ("log_probabilities", "output_frames")


def exportable(
    *, tensors: Mapping[str, torch.Tensor], prepared: Path, model: CtcModelConfig
) -> Exportable:
    """The pieces of a trained model.

    Args:
        tensors: Parameters and buffers by name, as the learner's state holds them.
        prepared: What prepare wrote: `tokenizer/`, and `base/` of a pretrained encoder.
        model: Sizes.

    Raises:
        DataError: The tensors do not fit the model, or the tokenizer cannot be read.
    """
    tokenizer = prepared / "tokenizer"
    text = TextTokenizer.from_folder(tokenizer)
    network = build(
        model,
        tokens=text.size,
        base=prepared / "base",
        features=read_settings(prepared),
        pretrained=False,
    )
    load_weights(network.module, tensors)
    network.module.eval()
    frontend = settings_to_json(network.hearing.frontend)
    return Exportable(
        network=network.module,
        processor=processor_of(network, tokenizer, model),
        task=TASK,
        summary=summary_of(network.module, model, tokens=text.size),
        graph=acoustic_graph(network),
        tokenizer=tokenizer,
        frontend=frontend,
        metadata={
            "family": "ctc",
            "vocabulary": json.dumps(text.tokens, ensure_ascii=False),
            "blank": str(BLANK_ID),
            "frontend": json.dumps(frontend, sort_keys=True),
            "subsampling": str(network.hearing.subsampling),
        },
        code=code_of(network.module),
    )


def acoustic_graph(network: Network) -> OnnxGraph:
    """What ONNX holds: features and their lengths in, log-probabilities and their lengths out.

    The CTC branch alone: an attention decoder is released with the Hugging Face folder.
    """
    front_end = batch_frontend(network.hearing.frontend)
    inputs = INPUTS
    if isinstance(network.hearing.frontend, WaveformSettings):
        inputs = ("input_values", "samples")
    elif isinstance(network.hearing.frontend, FeatureSettings):
        inputs = ("input_features", "steps")

    def example(batch: Sequence[Samples]) -> tuple[Any, ...]:
        features, frames = front_end(batch)
        return features[:, : int(frames.max())], frames

    return OnnxGraph(
        module=_AcousticGraph(network).eval(),
        inputs=inputs,
        outputs=OUTPUTS,
        dynamic_axes={
            inputs[0]: {0: "batch", 1: inputs[1]},
            inputs[1]: {0: "batch"},
            "log_probabilities": {0: "batch", 1: "output_frames"},
            "output_frames": {0: "batch"},
        },
        example=example,
    )


class _AcousticGraph(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = copy.deepcopy(network.module)
        self.hearing = network.hearing
        for module in self.network.modules():
            if isinstance(module, ParakeetEncoderConvolutionModule):
                module.pointwise_conv1 = _PointwiseAsMatMul(module.pointwise_conv1)
                module.pointwise_conv2 = _PointwiseAsMatMul(module.pointwise_conv2)

    def forward(
        self, features: torch.Tensor, frames: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = log_probabilities(self.network, self.hearing, features, frames)  # (B, S, tokens)
        return scores, self.hearing.output_frames(frames)


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
