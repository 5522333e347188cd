"""Voxformer: a pretrained speech encoder, conformer blocks and a CTC head.

Where it was trained with one, it has an attention decoder too.
This file needs torch and transformers only. A released folder carries a copy of it, so that
`AutoModelForCTC.from_pretrained(folder, trust_remote_code=True)` loads anywhere.

Encoders: WavLM (Chen et al., 2022), wav2vec 2.0 (Baevski et al., 2020), HuBERT (Hsu et al., 2021),
Whisper (Radford et al., 2022). Conformer: Gulati et al., 2020. Joint CTC and attention: Watanabe
et al., 2017.

Legend: B utterances, N samples, T mel frames, F mel bands, S output frames, V tokens, U labels,
D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    ParakeetEncoderConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.parakeet.modeling_parakeet import ParakeetEncoderBlock
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils import ModelOutput

WAVEFORM_ENCODERS = ("hubert", "wav2vec2", "wavlm")


class VoxformerConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes; `encoder_config` is the pretrained encoder's own configuration as a dict."""

    model_type = "voxformer"

    def __init__(  # noqa: PLR0913, PLR0917 - as transformers reads it back
        self,
        encoder_config: dict[str, Any] | None = None,
        vocab_size: int = 32,
        hidden_size: int = 512,
        blocks: int = 3,
        layers_per_block: int = 2,
        num_attention_heads: int = 8,
        intermediate_size: int = 2048,
        conv_kernel_size: int = 31,
        dropout: float = 0.1,
        ctc_weight: float = 1.0,
        decoder_layers: int = 4,
        decoder_attention_heads: int = 8,
        decoder_ffn_dim: int = 2048,
        decoder_dropout: float = 0.1,
        max_target_positions: int = 256,
        pad_token_id: int = 0,
        **kwargs: Any,
    ) -> None:
        self.encoder_config = encoder_config or {"model_type": "wavlm"}
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.blocks = blocks
        self.layers_per_block = layers_per_block
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.conv_kernel_size = conv_kernel_size
        self.dropout = dropout
        self.ctc_weight = ctc_weight
        self.decoder_layers = decoder_layers
        self.decoder_attention_heads = decoder_attention_heads
        self.decoder_ffn_dim = decoder_ffn_dim
        self.decoder_dropout = decoder_dropout
        self.max_target_positions = max_target_positions
        super().__init__(pad_token_id=pad_token_id, **kwargs)

    @property
    def has_decoder(self) -> bool:
        """Whether an attention decoder was trained beside CTC, or instead of it."""
        return self.ctc_weight < 1


@dataclass
class VoxformerOutput(ModelOutput):  # type: ignore[misc]
    """What one pass gives."""

    logits: torch.Tensor | None = None
    """(B, S, V) of the CTC head."""
    decoder_logits: torch.Tensor | None = None
    """(B, U + 1, V + 1) of the attention decoder; the last token both begins and ends a text."""
    output_frames: torch.Tensor | None = None
    """(B,) valid frames of each utterance."""
    last_hidden_state: torch.Tensor | None = None
    """(B, S, D)."""


class VoxformerForCTC(PreTrainedModel):  # type: ignore[misc]
    """The network; hears `input_values` (waveform encoders) or `input_features` (Whisper's)."""

    config_class = VoxformerConfig
    base_model_prefix = "voxformer"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    config: VoxformerConfig

    def __init__(self, config: VoxformerConfig) -> None:
        super().__init__(config)
        self.encoder = _encoder(config.encoder_config)
        self.hears_waveform = config.encoder_config["model_type"] in WAVEFORM_ENCODERS
        self.main_input_name = "input_values" if self.hears_waveform else "input_features"
        width = _width(self.encoder.config)
        self.projection: nn.Module = nn.Identity()
        if config.blocks:
            self.projection = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, config.hidden_size),
                nn.Dropout(config.dropout),
            )
            width = config.hidden_size
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(width, config.vocab_size)
        self.decoder = _Decoder(config, width) if config.has_decoder else None
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> VoxformerOutput:
        """Scores of one batch.

        Args:
            input_values: (B, N) samples.
            input_features: (B, F, T) log-mel features; what silence fills past the longest
                utterance is cut off, not computed.
            attention_mask: (B, N) or (B, T), 1 where there is speech; None: everywhere.
            decoder_input_ids: (B, U + 1) start token and labels, for the attention decoder.
        """
        heard = input_values if self.hears_waveform else input_features
        if heard is None:
            raise ValueError(f"This model hears {self.main_input_name}; none was given.")
        if attention_mask is None:
            attention_mask = torch.ones(
                heard.shape[0], heard.shape[-1], dtype=torch.long, device=heard.device
            )
        hidden, frames = self.encode(heard, attention_mask)
        scores = None
        if self.decoder is not None and decoder_input_ids is not None:
            scores = self.decoder(decoder_input_ids, hidden, _inside(frames, hidden.shape[1]))
        return VoxformerOutput(
            logits=self.head(self.dropout(hidden)),
            decoder_logits=scores,
            output_frames=frames,
            last_hidden_state=hidden,
        )

    def encode(
        self, heard: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, D) hidden states and (B,) valid frames of each utterance."""
        if self.hears_waveform:
            hidden = self.encoder(heard, attention_mask=attention_mask.long()).last_hidden_state
            frames = waveform_frames(self.encoder.config, attention_mask.long().sum(-1))
        else:
            hidden, frames = whisper_hidden(self.encoder, heard, attention_mask)
        hidden = self.projection(hidden)
        inside = _inside(frames, hidden.shape[1])
        positions = _relative_positions(hidden) if len(self.blocks) else None
        for block in self.blocks:
            hidden = block(hidden, inside, positions)
        return hidden, frames

    @torch.no_grad()
    def attend(
        self,
        attention_mask: torch.Tensor,
        input_values: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        *,
        max_labels: int,
    ) -> list[list[int]]:
        """Greedy texts of the attention decoder, as token ids without start and end.

        Args:
            attention_mask: As in `forward`.
            input_values: As in `forward`.
            input_features: As in `forward`.
            max_labels: Where a text that never ends is cut.
        """
        heard = input_values if self.hears_waveform else input_features
        if heard is None:
            raise ValueError(f"This model hears {self.main_input_name}; none was given.")
        if self.decoder is None:
            raise ValueError("This model was trained without an attention decoder (ctc_weight 1).")
        hidden, frames = self.encode(heard, attention_mask)
        return self.decoder.greedy(hidden, _inside(frames, hidden.shape[1]), max_labels=max_labels)

    def _init_weights(self, module: nn.Module) -> None:
        # Every layer is drawn by its own width in its constructor; transformers asks again for
        # what a folder lacks, and nothing of ours is ever lacking.
        del module


def waveform_frames(config: Any, samples: torch.Tensor) -> torch.Tensor:
    """Frames that the convolutions in front of a waveform encoder make of so many samples."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def whisper_hidden(
    encoder: WhisperEncoder, features: torch.Tensor, attention_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Whisper's encoder over what was said, instead of over 30 s.

    Its own forward pass takes nothing but 30 s. This one takes the first positions, masks what
    lies past each utterance, and so costs what the longest utterance costs.

    Returns:
        (B, S, D) hidden states, and (B,) frames of 20 ms.
    """
    frames = attention_mask.long().sum(-1)
    if not torch.onnx.is_in_onnx_export():  # there a length would become a constant
        longest = int(frames.max())
        features, attention_mask = features[..., :longest], attention_mask[..., :longest]
    inside = attention_mask.to(features.dtype)[:, None]  # (B, 1, T)
    # Past the end the first convolution gives something else than zero, which the second one's
    # last frame would hear.
    hidden = functional.gelu(encoder.conv1(features * inside)) * inside
    hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
    steps = hidden.shape[1]
    hidden = hidden + encoder.embed_positions.weight[:steps]
    hidden = functional.dropout(hidden, p=encoder.dropout, training=encoder.training)
    output_frames = (frames + 1) // 2
    outside = ~_inside(output_frames, steps)[:, None, None]
    mask = torch.zeros_like(outside, dtype=hidden.dtype)
    mask = mask.masked_fill(outside, torch.finfo(hidden.dtype).min)
    for layer in encoder.layers:
        hidden = layer(hidden, mask.expand(-1, 1, steps, -1))
    return encoder.layer_norm(hidden), output_frames


class _Block(nn.Module):
    """Conformer layers of one width, and a norm."""

    def __init__(self, config: VoxformerConfig) -> None:
        super().__init__()
        layer = ParakeetEncoderConfig(
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            conv_kernel_size=config.conv_kernel_size,
            dropout=config.dropout,
            activation_dropout=config.dropout,
            attention_dropout=config.dropout,
        )
        layer._attn_implementation = "sdpa"  # noqa: SLF001 - there is no public way
        self.layers = nn.ModuleList(
            ParakeetEncoderBlock(layer, index) for index in range(config.layers_per_block)
        )
        self.norm = nn.LayerNorm(config.hidden_size)

    def forward(
        self, hidden: torch.Tensor, inside: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        mask = (inside[:, None] & inside[:, :, None])[:, None]  # (B, 1, S, S)
        for layer in self.layers:
            hidden = layer(hidden, attention_mask=mask, position_embeddings=positions)
        normed: torch.Tensor = self.norm(hidden)
        return normed


class _Decoder(nn.Module):
    """A transformer that writes the text token by token, looking at the hidden states."""

    def __init__(self, config: VoxformerConfig, width: int) -> None:
        super().__init__()
        self.boundary = config.vocab_size  # the token that begins and ends a text
        self.embedding = nn.Embedding(config.vocab_size + 1, width)
        self.positions = nn.Embedding(config.max_target_positions + 1, width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                width,
                config.decoder_attention_heads,
                config.decoder_ffn_dim,
                config.decoder_dropout,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.vocab_size + 1)

    def forward(
        self, tokens: torch.Tensor, memory: torch.Tensor, inside: torch.Tensor
    ) -> torch.Tensor:
        """(B, U + 1, V + 1) scores of each next token."""
        length = tokens.shape[1]
        hidden = self.embedding(tokens) + self.positions.weight[:length]
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            hidden = layer(hidden, memory, tgt_mask=later, memory_key_padding_mask=~inside)
        scores: torch.Tensor = self.head(self.norm(hidden))
        return scores

    def greedy(
        self, memory: torch.Tensor, inside: torch.Tensor, *, max_labels: int
    ) -> list[list[int]]:
        """The likeliest next token, again and again."""
        count = memory.shape[0]
        longest = min(max_labels, self.positions.num_embeddings - 1)
        tokens = torch.full((count, 1), self.boundary, device=memory.device)
        ended = torch.zeros(count, dtype=torch.bool, device=memory.device)
        for _ in range(longest):
            following = self(tokens, memory, inside)[:, -1].argmax(-1)
            following = following.masked_fill(ended, self.boundary)
            tokens = torch.cat([tokens, following[:, None]], dim=1)
            ended |= following == self.boundary
            if bool(ended.all()):
                break
        rows: list[list[int]] = tokens[:, 1:].tolist()
        return [row[: row.index(self.boundary)] if self.boundary in row else row for row in rows]


def _encoder(values: dict[str, Any]) -> Any:
    named = {name: value for name, value in values.items() if name != "model_type"}
    config = AutoConfig.for_model(values["model_type"], **named)
    if values["model_type"] == "whisper":
        return WhisperEncoder(config)
    return AutoModel.from_config(config)


def _width(config: Any) -> int:
    return int(config.d_model if config.model_type == "whisper" else config.hidden_size)


def _inside(frames: torch.Tensor, longest: int) -> torch.Tensor:
    """(B, S) whether a frame belongs to its utterance."""
    return torch.arange(longest, device=frames.device) < frames[:, None]


def _relative_positions(hidden: torch.Tensor) -> torch.Tensor:
    """(B, 2 S - 1, D) sine and cosine, interleaved, of each distance from S - 1 down to 1 - S."""
    length, width = hidden.shape[1], hidden.shape[2]
    even = torch.arange(0, width, 2, device=hidden.device, dtype=torch.float32)
    speeds = torch.exp(even * (-math.log(10000.0) / width))
    distances = torch.arange(length - 1, -length, -1, device=hidden.device, dtype=torch.float32)
    angles = distances[:, None] * speeds
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(-1, width)
    return waves.to(hidden.dtype).expand(hidden.shape[0], -1, -1)


VoxformerConfig.register_for_auto_class()
VoxformerForCTC.register_for_auto_class("AutoModelForCTC")
