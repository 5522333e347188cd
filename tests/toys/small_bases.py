"""Pretrained encoders as folders, small enough to be made for a test: random weights, real code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

ARCHITECTURES = ("wavlm", "wav2vec2", "hubert", "whisper")
WHISPER_FRAMES = 400
"""Mel frames that the small Whisper takes in one piece: 4 s instead of 30."""

_WAVEFORM: dict[str, Any] = {
    "wavlm": (WavLMConfig, WavLMModel),
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "hubert": (HubertConfig, HubertModel),
}
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def small_base(folder: Path, architecture: str, **sizes: Any) -> Path:
    """A base model's folder as ingest mirrors it: configuration, safetensors, front end."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    if architecture == "whisper":
        config = WhisperConfig(
            vocab_size=20, d_model=32, encoder_layers=3, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=48,
            decoder_ffn_dim=48, max_source_positions=WHISPER_FRAMES // 2, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
            suppress_tokens=None, begin_suppress_tokens=None, **sizes,
        )  # fmt: skip
        WhisperForConditionalGeneration(config).save_pretrained(str(folder))
        WhisperFeatureExtractor().save_pretrained(str(folder))
        return folder
    config_class, model_class = _WAVEFORM[architecture]
    model_class(config_class(**{**_SIZES, **sizes})).save_pretrained(str(folder))
    Wav2Vec2FeatureExtractor().save_pretrained(str(folder))
    return folder
