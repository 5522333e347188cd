"""What audit asks of one utterance: does it decode, is it long enough, is there a text for it?"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from voxmill.corpus.config import AuditConfig
from voxmill.corpus.features import FeatureShape
from voxmill.corpus.reasons import Reason
from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance, SourceUtterance
from voxmill.signal.array_file import ArrayError, read_array
from voxmill.signal.audio_file import AudioError, Samples, read_audio
from voxmill.text.config import TextConfig
from voxmill.text.normalise import normalise

Finding = AuditedUtterance | RejectedUtterance

_PLAIN_TEXT = TextConfig()
"""Audit counts characters in plain lower case without punctuation, whatever a recipe trains on:
its verdict then depends on its own section alone. Prepare counts the model's own labels."""


def needed_frames(labels: Iterable[object]) -> int:
    """Fewest output frames that CTC can write these labels in: one each, one between equal ones.

    With fewer the loss is infinite (Graves et al., 2006, section 3: a path needs a blank between
    two equal labels).
    """
    sequence = tuple(labels)
    return len(sequence) + sum(1 for one, other in pairwise(sequence) if one == other)


def examine(utterance: SourceUtterance, content: bytes, config: AuditConfig) -> Finding:
    """One utterance after its recording was decoded: accepted with measures, or rejected.

    Args:
        utterance: As the source pairs it.
        content: The bytes of its recording.
        config: Limits of the recipe.
    """
    try:
        audio = read_audio(content, name=utterance.audio)
    except AudioError as error:
        return _rejected(utterance, error.fault, f"{utterance.audio}: {error.detail}")
    fault = _fault(utterance, audio.seconds, config)
    if fault is not None:
        return fault
    return AuditedUtterance(
        **utterance.model_dump(),
        seconds=audio.seconds,
        sample_rate_hz=audio.sample_rate_hz,
        channels=audio.channels,
        audio_sha256=samples_sha256(audio.samples),
    )


def examine_array(
    utterance: SourceUtterance, content: bytes, config: AuditConfig, shape: FeatureShape
) -> Finding:
    """One utterance after its array was read: accepted with measures, or rejected.

    Args:
        utterance: As the source pairs it.
        content: The bytes of its `.npy` file.
        config: Limits of the recipe.
        shape: What each array of the source has to be.
    """
    try:
        steps = read_array(content, name=utterance.audio, dimensions=shape.dimensions)
    except ArrayError as error:
        return _rejected(utterance, error.fault, f"{utterance.audio}: {error.detail}")
    seconds = len(steps) * shape.frame_seconds
    fault = _fault(utterance, seconds, config)
    if fault is not None:
        return fault
    return AuditedUtterance(
        **utterance.model_dump(),
        seconds=seconds,
        sample_rate_hz=max(1, round(1 / shape.frame_seconds)),
        channels=shape.dimensions,
        audio_sha256=samples_sha256(steps),
    )


def samples_sha256(samples: Samples) -> str:
    """Hash of decoded samples, so that a re-encoded copy of a recording counts as the same.

    Args:
        samples: (N,) or (T, D) float32.
    """
    return hashlib.sha256(samples.astype("<f4", copy=False).tobytes()).hexdigest()


def without_duplicates(
    findings: Iterable[Finding], *, reason: Reason = "duplicate_audio"
) -> Iterator[Finding]:
    """Rejects every further utterance with the samples of an earlier one.

    A recording in two places could be trained on and tested on; the first one in order stays.
    """
    first_by_hash: dict[str, str] = {}
    for finding in findings:
        if isinstance(finding, RejectedUtterance):
            yield finding
            continue
        first = first_by_hash.setdefault(finding.audio_sha256, finding.id)
        if first == finding.id:
            yield finding
        else:
            yield _rejected(finding, reason, f"the same samples as {first}")


def _fault(utterance: SourceUtterance, seconds: float, config: AuditConfig) -> Finding | None:
    text = normalise(utterance.text, _PLAIN_TEXT)
    if not text:
        found = utterance.text or "nothing"
        return _rejected(utterance, "empty_transcript", f"no letter or digit in {found!r}")
    if seconds < config.min_seconds:
        limit = f"{seconds:.3f} s, expected at least {config.min_seconds} s"
        return _rejected(utterance, "too_short", limit)
    if seconds > config.max_seconds:
        limit = f"{seconds:.3f} s, expected at most {config.max_seconds} s"
        return _rejected(utterance, "too_long", limit)
    frames = math.floor(seconds / config.frame_seconds + 1e-9)  # 0.29 / 0.01 is 29, not 28.99…
    needed = needed_frames(text)
    if frames < needed:
        detail = (
            f"{frames} frames of {config.frame_seconds} s for {len(text)} characters, which need "
            f"{needed}; the recording is cut or the transcript is not its own"
        )
        return _rejected(utterance, "too_few_frames", detail)
    return None


def _rejected(utterance: SourceUtterance, reason: Reason, detail: str) -> RejectedUtterance:
    return RejectedUtterance(id=utterance.id, reason=reason, detail=detail)
