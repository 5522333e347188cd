"""The `model` section of the family `ctc`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from voxmill.section import Conflict, Section


class ConformerEncoder(Section):
    """A conformer from scratch (Gulati et al., 2020, in the Fast Conformer form)."""

    kind: Literal["conformer"] = "conformer"
    d_model: int = Field(default=96, ge=8)
    """Width of the network."""
    layers: int = Field(default=4, ge=1)
    """Conformer blocks."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; they share d_model evenly."""
    d_ff: int = Field(default=384, ge=8)
    """Width of the feed-forward layers inside a block."""
    kernel: int = Field(default=15, ge=3)
    """Frames that the depthwise convolution spans; odd."""
    subsampling: Literal[2, 4, 8] = 4
    """Mel frames (10 ms each) that become one output frame."""
    subsampling_channels: int = Field(default=32, ge=1)
    """Channels of the convolutions that shorten the time axis."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations that training drops."""

    def conflicts(self) -> Iterator[Conflict]:
        """Heads share d_model evenly, its position code has sine and cosine, kernels are odd."""
        if self.d_model % self.heads or self.d_model % 2:
            unit = math.lcm(2, self.heads)
            fitting = unit * max(1, round(self.d_model / unit))
            allowed = f"even and a multiple of heads ({self.heads}), such as {fitting}"
            yield Conflict("d_model", str(self.d_model), allowed, others=("heads",))
        if self.kernel % 2 == 0:
            yield Conflict("kernel", str(self.kernel), f"an odd number, such as {self.kernel + 1}")


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

    kind: Literal["character", "bpe", "word"] = "character"
    """Whether tokens are letters, pieces of words or whole words; whole words are for a small
    vocabulary of commands or digits: no other word can be written, nor one half of one."""
    size: int = Field(default=500, ge=8)
    """Tokens of a BPE vocabulary, blank included; characters and words take what the text has."""


class CtcModelConfig(Section):
    """A log-mel front end, an encoder and a CTC head."""

    sample_rate_hz: Literal[8000, 16000] = 16000
    """What recordings are resampled to."""
    mel_bins: int = Field(default=80, ge=20, le=128)
    """Bands of the log-mel spectrogram; a multiple of `encoder.subsampling`."""
    normalise: Literal["utterance", "none"] = "utterance"
    """`utterance`: each band to zero mean and unit variance over the recording, which suits
    sentences from many microphones; `none`: energies as they are, which suits single words, where
    the mean of a band is most of what its vowel says (see train.augment.equalise_db)."""
    encoder: ConformerEncoder | PretrainedEncoder = Field(
        default_factory=ConformerEncoder, discriminator="kind"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)

    def conflicts(self) -> Iterator[Conflict]:
        """Bands survive subsampling."""
        if not isinstance(self.encoder, ConformerEncoder):
            return
        step = self.encoder.subsampling
        if self.mel_bins % step:
            allowed = f"a multiple of encoder.subsampling ({step})"
            others = ("encoder.subsampling",)
            yield Conflict("mel_bins", str(self.mel_bins), allowed, others=others)
