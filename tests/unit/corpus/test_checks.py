"""Audit's questions to one utterance, each with an answer that names the limit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from toys.recordings import utterance, wav_bytes
from voxmill.corpus.checks import examine, needed_frames, samples_sha256, without_duplicates
from voxmill.corpus.config import AuditConfig
from voxmill.corpus.reasons import REASONS
from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance
from voxmill.signal.audio_file import read_audio

LIMITS = AuditConfig(min_seconds=0.2, max_seconds=2.0, frame_seconds=0.04)


def test_a_sound_utterance_is_accepted_with_its_measures() -> None:
    """Duration, rate, channels and hash are of the decoded file."""
    content = wav_bytes(seconds=0.5, rate=8000)
    found = examine(utterance("a"), content, LIMITS)
    assert isinstance(found, AuditedUtterance)
    assert (found.seconds, found.sample_rate_hz, found.channels) == (0.5, 8000, 1)
    assert found.audio_sha256 == samples_sha256(read_audio(content).samples)


@pytest.mark.parametrize(
    ("content", "text", "reason", "words"),
    [
        (b"noise", "one", "unreadable_audio", "5 bytes"),
        (b"", "one", "unreadable_audio", "0 bytes"),
        (wav_bytes(seconds=0), "one", "no_samples", "no samples"),
        (wav_bytes(seconds=0.1), "one", "too_short", "0.100 s, expected at least 0.2 s"),
        (wav_bytes(seconds=2.1), "one", "too_long", "expected at most 2.0 s"),
        (wav_bytes(), " … ", "empty_transcript", "no letter"),
        (wav_bytes(), "", "empty_transcript", "nothing"),
        (wav_bytes(seconds=0.4), "abcdefghijk", "too_few_frames", "10 frames"),
    ],
)
def test_an_unsound_utterance_is_rejected_with_its_reason(
    content: bytes, text: str, reason: str, words: str
) -> None:
    """One reason from the closed set, and what was found."""
    found = examine(utterance("a", text=text), content, LIMITS)
    assert isinstance(found, RejectedUtterance)
    assert found.reason == reason
    assert found.reason in REASONS
    assert words in found.detail


def test_repeats_need_a_frame_more() -> None:
    """Ten frames carry ten different characters, but not nine with two doubles."""
    content = wav_bytes(seconds=0.4)
    assert isinstance(examine(utterance("a", text="abcdefghij"), content, LIMITS), AuditedUtterance)
    assert isinstance(examine(utterance("a", text="aabbcdefg"), content, LIMITS), RejectedUtterance)


def test_whole_frames_are_counted_whole() -> None:
    """0.57 s are 57 frames of 10 ms, though the quotient of the floats is 56.99999999999999."""
    limits = AuditConfig(frame_seconds=0.01)
    found = examine(utterance("a", text="ab" * 28 + "c"), wav_bytes(seconds=0.57), limits)
    assert isinstance(found, AuditedUtterance)


@pytest.mark.parametrize(
    ("labels", "needed"), [("", 0), ("a", 1), ("ab", 2), ("aa", 3), ("aaa", 5), ("hello all", 11)]
)
def test_needed_frames_count_a_blank_between_equal_labels(labels: str, needed: int) -> None:
    """Made by hand."""
    assert needed_frames(labels) == needed


@given(st.lists(st.integers(0, 2), max_size=30))
def test_needed_frames_are_the_shortest_path_with_blanks(labels: list[int]) -> None:
    """Against writing the path out: a blank goes in wherever two equal labels meet."""
    path: list[int] = []
    for label in labels:
        if path and path[-1] == label:
            path.append(-1)
        path.append(label)
    assert needed_frames(labels) == len(path)


def test_a_second_copy_is_rejected_even_in_another_format() -> None:
    """The samples count, not the file; the first in order stays."""
    content = wav_bytes(seconds=0.5)
    flac = io.BytesIO()
    soundfile.write(flac, read_audio(content).samples, 8000, format="FLAC", subtype="PCM_16")
    findings = [
        examine(utterance("a"), content, LIMITS),
        examine(utterance("b", audio="b.flac"), flac.getvalue(), LIMITS),
        examine(utterance("c"), wav_bytes(seconds=0.5, hz=441), LIMITS),
        examine(utterance("d"), content, LIMITS),
    ]
    kept = list(without_duplicates(findings))
    assert [one.id for one in kept if isinstance(one, AuditedUtterance)] == ["a", "c"]
    rejected = [one for one in kept if isinstance(one, RejectedUtterance)]
    assert [(one.id, one.reason) for one in rejected] == [
        ("b", "duplicate_audio"),
        ("d", "duplicate_audio"),
    ]
    assert "same samples as a" in rejected[0].detail


def test_one_sample_of_difference_is_another_recording() -> None:
    """Only exact duplicates are rejected."""
    samples = np.zeros(100, np.float32)
    other = samples.copy()
    other[50] = 1 / 32768
    assert samples_sha256(samples) != samples_sha256(other)
