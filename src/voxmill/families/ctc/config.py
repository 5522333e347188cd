"""The `model` section of the family `ctc`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from voxmill.section import Conflict, Section


class AudioInput(Section):
    """Recordings: samples, or the log-mel features of them."""

    kind: Literal["audio"] = "audio"


class FeatureInput(Section):
    """Arrays (T, D) of a source `features`, brought to zero mean and unit variance."""

    kind: Literal["features"]
    dimensions: int = Field(ge=1)
    """D; a multiple of `encoder.subsampling`, and the same as `source.dimensions`."""
    frame_seconds: float = Field(gt=0)
    """Length of one step; the same as `source.frame_seconds`."""


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
    """Mel frames (10 ms each), or steps of features, that become one output frame."""
    subsampling_channels: int = Field(default=32, ge=1)
    """Channels of the convolutions that shorten the time axis."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations that training drops."""

    def conflicts(self) -> Iterator[Conflict]:
        """Heads share d_model evenly, its position code has sine and cosine, kernels are odd."""
        yield from _layer_conflicts(self)

    @property
    def frame_seconds(self) -> float:
        """Length of an output frame: mel frames of 10 ms, shortened."""
        return round(0.01 * self.subsampling, 6)


class PretrainedEncoder(Section):
    """Conformer blocks on an encoder with weights of its own, which ingest mirrors (`base`)."""

    kind: Literal["pretrained"]
    architecture: Literal["wavlm", "wav2vec2", "hubert", "whisper"]
    """What `base.model` is; Whisper's decoder is left out. Frames are 20 ms long with each."""
    trainable_layers: int = Field(default=3, ge=0)
    """How many of the encoder's top layers learn; those below stay frozen."""
    trainable_front: bool = False
    """Whether the convolutions in front of the layers learn too."""
    learning_rate_scale: float = Field(default=1.0, gt=0)
    """The encoder's learning rate as a multiple of `train.learning_rate`."""
    d_model: int = Field(default=512, ge=8)
    """Width of the conformer blocks, and of the projection before them."""
    blocks: int = Field(default=3, ge=0)
    """Conformer blocks between encoder and head; without any the head sits on the encoder."""
    layers_per_block: int = Field(default=2, ge=1)
    """Conformer layers of a block."""
    heads: int = Field(default=8, ge=1)
    """Attention heads of a layer; they share d_model evenly."""
    d_ff: int = Field(default=2048, ge=8)
    """Width of the feed-forward layers."""
    kernel: int = Field(default=31, ge=3)
    """Frames that the depthwise convolution spans; odd."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations that training drops, in the encoder's learning layers too."""

    def conflicts(self) -> Iterator[Conflict]:
        """Heads share d_model evenly, its position code has sine and cosine, kernels are odd."""
        yield from _layer_conflicts(self)

    @property
    def frame_seconds(self) -> float:
        """Length of an output frame, with every architecture."""
        return 0.02

    @property
    def hears_waveform(self) -> bool:
        """Whether samples go in, and not mel bands."""
        return self.architecture != "whisper"


class AttentionDecoder(Section):
    """A transformer that writes text token by token; trained where ctc_weight is below 1."""

    layers: int = Field(default=4, ge=1)
    """Decoder layers."""
    heads: int = Field(default=8, ge=1)
    """Attention heads of a layer; they share the width evenly."""
    d_ff: int = Field(default=2048, ge=8)
    """Width of the feed-forward layers."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations that training drops."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each target's probability that is spread over all tokens."""


def _layer_conflicts(sizes: ConformerEncoder | PretrainedEncoder) -> Iterator[Conflict]:
    if sizes.d_model % sizes.heads or sizes.d_model % 2:
        unit = math.lcm(2, sizes.heads)
        fitting = unit * max(1, round(sizes.d_model / unit))
        allowed = f"even and a multiple of heads ({sizes.heads}), such as {fitting}"
        yield Conflict("d_model", str(sizes.d_model), allowed, others=("heads",))
    if sizes.kernel % 2 == 0:
        yield Conflict("kernel", str(sizes.kernel), f"an odd number, such as {sizes.kernel + 1}")


class VocabularyConfig(Section):
    """What the model writes."""

    kind: Literal["character", "bpe", "word"] = "character"
    """Whether tokens are letters, pieces of words or whole words; whole words are for a small
    vocabulary of commands or digits: no other word can be written, nor one half of one."""
    size: int = Field(default=500, ge=8)
    """Tokens of a BPE vocabulary, blank included; characters and words take what the text has."""


class CtcModelConfig(Section):
    """A front end, an encoder and a CTC head; an attention decoder beside it where asked."""

    input: AudioInput | FeatureInput = Field(default_factory=AudioInput, discriminator="kind")

    sample_rate_hz: Literal[8000, 16000] = 16000
    """What recordings are resampled to."""
    mel_bins: int = Field(default=80, ge=20, le=128)
    """Bands of the log-mel spectrogram; a multiple of `encoder.subsampling`."""
    normalise: Literal["utterance", "none"] = "utterance"
    """`utterance`: each band to zero mean and unit variance over the recording, which suits
    sentences from many microphones; `none`: energies as they are, which suits single words, where
    the mean of a band is most of what its vowel says (see train.augment.equalise_db). A pretrained
    encoder hears as it was trained to, whatever stands here."""
    encoder: ConformerEncoder | PretrainedEncoder = Field(
        default_factory=ConformerEncoder, discriminator="kind"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
    ctc_weight: float = Field(default=1.0, ge=0, le=1)
    """Share of the CTC loss; the rest is the attention decoder's. With 1 there is no decoder, with
    0 the CTC head learns nothing and nothing measures it."""
    decoder: AttentionDecoder = Field(default_factory=AttentionDecoder)

    def conflicts(self) -> Iterator[Conflict]:
        """Bands survive subsampling; what only a pretrained encoder has is asked only of one."""
        if isinstance(self.input, FeatureInput):
            yield from self._mel_conflicts()
        if isinstance(self.encoder, PretrainedEncoder):
            yield from self._pretrained_conflicts()
            return
        step = self.encoder.subsampling
        if self.input_bins % step:
            field = "input.dimensions" if isinstance(self.input, FeatureInput) else "mel_bins"
            allowed = f"a multiple of encoder.subsampling ({step})"
            others = ("encoder.subsampling",)
            yield Conflict(field, str(self.input_bins), allowed, others=others)
        if self.ctc_weight < 1:
            allowed = "1 with encoder.kind conformer: an attention decoder needs a pretrained one"
            yield Conflict("ctc_weight", str(self.ctc_weight), allowed, others=("encoder.kind",))

    @property
    def input_bins(self) -> int:
        """Values of one step that the network hears: mel bands, or dimensions of features."""
        return self.input.dimensions if isinstance(self.input, FeatureInput) else self.mel_bins

    @property
    def frame_seconds(self) -> float:
        """Length of an output frame."""
        if isinstance(self.input, FeatureInput) and isinstance(self.encoder, ConformerEncoder):
            return round(self.input.frame_seconds * self.encoder.subsampling, 9)
        return self.encoder.frame_seconds

    def _mel_conflicts(self) -> Iterator[Conflict]:
        """What makes features of sound has nothing to do where features come in."""
        for name in ("sample_rate_hz", "mel_bins", "normalise"):
            found, usual = getattr(self, name), type(self).model_fields[name].default
            if found != usual:
                allowed = f"left out, or {usual}: the input is features, not sound"
                yield Conflict(name, str(found), allowed, others=("input.kind",))

    def _pretrained_conflicts(self) -> Iterator[Conflict]:
        if isinstance(self.input, FeatureInput):
            allowed = "audio with a pretrained encoder: it was trained on sound"
            yield Conflict("input.kind", self.input.kind, allowed, others=("encoder.kind",))
        if self.sample_rate_hz != 16000:
            allowed = "16000: pretrained speech encoders know no other rate"
            found = str(self.sample_rate_hz)
            yield Conflict("sample_rate_hz", found, allowed, others=("encoder.kind",))
