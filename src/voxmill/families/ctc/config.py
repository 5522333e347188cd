"""The `model` section of the family `ctc`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.section import Section


class ConformerEncoder(Section):
    """A conformer from scratch (Gulati et al., 2020, in the Fast Conformer form)."""

    kind: Literal["conformer"] = "conformer"
    d_model: int = Field(default=96, ge=8)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    d_ff: int = Field(default=384, ge=8)
    kernel: int = Field(default=15, ge=3)
    """Frames that the depthwise convolution spans; odd."""
    subsampling: Literal[2, 4, 8] = 4
    """Mel frames (10 ms each) that become one output frame."""
    subsampling_channels: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class PretrainedEncoder(Section):
    """An encoder with weights of its own, mirrored by ingest."""

    kind: Literal["pretrained"]
    base: str
    """Hub id or folder."""
    revision: str | None = None
    """Pinned commit of a hub id."""
    trainable_layers: int = Field(default=0, ge=0)
    """How many of the top layers learn; the rest stay frozen."""


class VocabularyConfig(Section):
    """What the model writes."""

    kind: Literal["character", "bpe"] = "character"
    size: int = Field(default=500, ge=8)
    """Tokens of a BPE vocabulary, blank included; characters take what the text has."""


class CtcModelConfig(Section):
    """A log-mel front end, an encoder and a CTC head."""

    sample_rate_hz: Literal[8000, 16000] = 16000
    mel_bins: int = Field(default=80, ge=20)
    encoder: ConformerEncoder | PretrainedEncoder = Field(
        default_factory=ConformerEncoder, discriminator="kind"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
