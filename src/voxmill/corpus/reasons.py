"""Why a file or an utterance is left out: the closed set of reasons that manifests name."""

from __future__ import annotations

from typing import Literal, get_args

Reason = Literal[
    # ingest: what the source itself cannot pair
    "audio_without_transcript",
    "transcript_without_audio",
    "name_not_understood",
    "unreadable_transcript",
    "duplicate_id",
    # audit: what the recording is
    "unreadable_audio",
    "no_samples",
    "non_finite_audio",
    "too_short",
    "too_long",
    "duplicate_audio",
    # audit: what the array is, where the source holds features
    "unreadable_array",
    "wrong_shape",
    "empty_array",
    "non_finite_array",
    "duplicate_array",
    # audit and prepare: what the transcript is
    "empty_transcript",
    "too_few_frames",
]

REASONS: tuple[str, ...] = get_args(Reason)
