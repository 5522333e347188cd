"""Recordings at the model's sample rate, in shards; those too short for their labels left out.

Arrays of features are recordings whose samples have dimensions: (T, D) in place of (N,).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxmill.corpus.checks import needed_frames
from voxmill.corpus.features import FeatureShape
from voxmill.corpus.inventory import Inventory
from voxmill.corpus.ordered_map import ordered_map
from voxmill.corpus.shards import ShardPlace
from voxmill.corpus.utterance import AuditedUtterance, PreparedUtterance, RejectedUtterance
from voxmill.signal.array_file import read_array
from voxmill.signal.audio_file import Samples, read_audio
from voxmill.signal.resample import resample
from voxmill.stages.preparation.material import Material

Prepared = PreparedUtterance | RejectedUtterance
Decoded = tuple[AuditedUtterance, Samples]


@dataclass(frozen=True, kw_only=True)
class ModelDemands:
    """What the model asks of recordings."""

    sample_rate_hz: float
    """Of features: steps a second."""
    labels: Mapping[str, tuple[int, ...]]
    """Token ids by utterance id."""
    frames: Callable[[float], int]
    """Output frames for a recording of so many seconds."""


class Writer(Protocol):
    """Takes utterances into shards, sound or features."""

    def add(self, samples: Samples) -> ShardPlace:
        """Appends one utterance: (N,) or (T, D) float32."""


def decoded(utterances: Iterable[AuditedUtterance], ingest: Path, rate: int) -> Iterable[Decoded]:
    """Each utterance with its samples, in order; decoded and resampled on all cores.

    Args:
        utterances: What to read.
        ingest: Output folder of the stage ingest.
        rate: Sample rate wanted, in Hz.

    Raises:
        DataError: The inventory is damaged, or a recording does not decode any more.
    """
    with Inventory(ingest) as inventory:

        def read(utterance: AuditedUtterance) -> Decoded:
            audio = read_audio(inventory.read(utterance.audio), name=utterance.audio)
            samples = resample(audio.samples, from_hz=audio.sample_rate_hz, to_hz=rate)
            return utterance, samples  # (N,)

        yield from ordered_map(read, utterances)


def read_arrays(
    utterances: Iterable[AuditedUtterance], ingest: Path, shape: FeatureShape
) -> Iterable[Decoded]:
    """Each utterance with its array (T, D), in order; read on all cores.

    Args:
        utterances: What to read.
        ingest: Output folder of the stage ingest.
        shape: What each array has to be.

    Raises:
        DataError: The inventory is damaged, or an array cannot be read any more.
    """
    with Inventory(ingest) as inventory:

        def read(utterance: AuditedUtterance) -> Decoded:
            content, name = inventory.read(utterance.audio), utterance.audio
            return utterance, read_array(content, name=name, dimensions=shape.dimensions)

        yield from ordered_map(read, utterances)


def write_shards(
    recordings: Iterable[Decoded], material: Material, demands: ModelDemands, writer: Writer
) -> list[Prepared]:
    """Writes recordings behind each other; gives a prepared or a skipped utterance for each."""
    return [_written(one, samples, material, demands, writer) for one, samples in recordings]


def _written(
    utterance: AuditedUtterance,
    samples: Samples,
    material: Material,
    demands: ModelDemands,
    writer: Writer,
) -> Prepared:
    skipped = _skipped(utterance, len(samples), demands)
    if skipped is not None:
        return skipped
    return _prepared(utterance, writer.add(samples), material, demands.labels[utterance.id])


def _skipped(
    utterance: AuditedUtterance, length: int, demands: ModelDemands
) -> RejectedUtterance | None:
    labels = demands.labels[utterance.id]
    frames, needed = demands.frames(length / demands.sample_rate_hz), needed_frames(labels)
    if not labels:
        detail = f"the tokenizer knows nothing of {utterance.text!r}"
        return RejectedUtterance(id=utterance.id, reason="empty_transcript", detail=detail)
    if frames < needed:
        detail = (
            f"the model gives {frames} frames for {utterance.seconds:.3f} s; {len(labels)} labels "
            f"need {needed}"
        )
        return RejectedUtterance(id=utterance.id, reason="too_few_frames", detail=detail)
    return None


def _prepared(
    utterance: AuditedUtterance, place: ShardPlace, material: Material, labels: tuple[int, ...]
) -> PreparedUtterance:
    return PreparedUtterance(
        id=utterance.id,
        split=material.splits[utterance.id],
        shard=place.shard,
        offset_samples=place.offset_samples,
        samples=place.samples,
        text=material.texts[utterance.id],
        text_original=utterance.text,
        labels=labels,
        speaker=utterance.speaker,
        subset=utterance.subset,
        part=utterance.part,
    )
