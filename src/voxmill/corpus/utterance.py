"""One utterance at each step of its way: as the source names it, as audit found it, as prepared."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

ONLY_PART = "source"
"""Part of the utterances of a source that is no mixture."""


class SourceUtterance(BaseModel):
    """A recording and its transcript as the source pairs them; nothing has been decoded yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Unique and stable within the recipe; a split is a function of it."""
    audio: str
    """Path of the recording inside the inventory, with forward slashes."""
    text: str
    """Transcript exactly as the source has it."""
    speaker: str
    """Speaker id, unique within the recipe; `unknown` where the source does not tell."""
    subset: str
    """The source's own division, such as `train-clean-100`; `all` where it has none."""
    part: str
    """Name of the part of a mixed source that it comes from, such as `synthetic`."""


class AuditedUtterance(SourceUtterance):
    """An utterance whose recording was decoded once, with what was measured."""

    seconds: float = Field(gt=0)
    """Duration of the recording."""
    sample_rate_hz: int = Field(gt=0)
    """Sample rate of the stored file, before any resampling; of features steps a second, rounded,
    but at least 1."""
    channels: int = Field(gt=0)
    """Of features: dimensions."""
    audio_sha256: str
    """Of the decoded samples (float32, little endian), so that a re-encoded copy counts as one."""


class RejectedUtterance(BaseModel):
    """A file or utterance that was left out, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Utterance id; the path where no utterance could be built."""
    reason: str
    """One of a closed set of names, such as `unreadable_audio`, `empty_transcript`."""
    detail: str
    """What was found, in words that help to mend it."""


class PreparedUtterance(BaseModel):
    """An utterance ready for training: where its samples lie and what they say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    split: str
    """`train`, `validation`, `test` or the name of a further test set."""
    shard: str
    """File name of the shard, such as `00000.pcm` (int16, little endian, mono), or `00000.f32`
    (features, float32, little endian)."""
    offset_samples: int = Field(ge=0)
    """Where its first sample stands in the shard."""
    samples: int = Field(gt=0)
    """How many samples it has at the shards' sample rate; of features, how many steps."""
    text: str
    """Normalised transcript: what the model learns and is scored against."""
    text_original: str
    labels: tuple[int, ...]
    """Token ids of `text`, without blanks."""
    speaker: str
    subset: str
    part: str
