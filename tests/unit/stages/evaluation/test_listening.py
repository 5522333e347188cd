"""Embedded recordings decode to what was measured, and the page keeps its size."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile

from toys.evaluation_inputs import RATE_HZ, tone
from voxmill.stages.evaluation.listening import FLAC, MP3, data_uri, embed

from .builders import transcript


def decode(uri: str) -> tuple[np.ndarray, int]:
    """Samples and rate of a data URI."""
    content = base64.b64decode(uri.partition(";base64,")[2])
    return soundfile.read(io.BytesIO(content), dtype="float32")


def utterances(count: int) -> list:
    """As many utterances of one second."""
    return [transcript("a", "b", id=f"u{i}").utterance for i in range(count)]


def test_flac_gives_back_every_sample():
    """Lossless to 16 bits."""
    samples = tone(RATE_HZ)
    uri = data_uri(samples, RATE_HZ, codec=FLAC)
    heard, rate = decode(uri)
    assert uri.startswith("data:audio/flac;base64,")
    assert rate == RATE_HZ
    np.testing.assert_allclose(heard, samples, atol=1 / 32768)


def test_samples_beyond_full_scale_are_clipped_not_wrapped():
    """An overdriven sample stays loud; it does not turn into its opposite."""
    heard, _ = decode(data_uri(np.full(800, 1.5, np.float32), RATE_HZ, codec=FLAC))
    assert heard.min() > 0.99


def test_mp3_is_smaller_and_as_long():
    """The fallback keeps the whole utterance."""
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32)
    small = data_uri(samples, RATE_HZ, codec=MP3)
    heard, rate = decode(small)
    assert len(small) < len(data_uri(samples, RATE_HZ, codec=FLAC)) / 2
    assert len(heard) / rate == pytest.approx(2.0, abs=0.15)


def test_a_tight_budget_turns_to_mp3_and_then_leaves_out():
    """Lossless where it fits, smaller where it does not, nothing where even that is too much."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    flac = len(data_uri(noise, RATE_HZ, codec=FLAC))
    mp3 = len(data_uri(noise, RATE_HZ, codec=MP3))

    def kinds(budget: int) -> list[str]:
        uris = embed(
            utterances(3), samples=lambda _: noise, sample_rate_hz=RATE_HZ, budget_bytes=budget
        )
        assert sum(len(uri or "") for uri in uris) <= budget
        return [uri.partition(";")[0].removeprefix("data:") if uri else "" for uri in uris]

    assert kinds(3 * flac) == ["audio/flac"] * 3
    assert kinds(3 * mp3) == ["audio/mpeg"] * 3
    assert kinds(mp3 + mp3 // 2)[-1] == "audio/mpeg"
    assert kinds(100) == ["", "", ""]


def test_no_utterances_embed_nothing():
    """A perfect model has nothing to listen to."""
    assert embed([], samples=lambda _: tone(8), sample_rate_hz=RATE_HZ, budget_bytes=10) == ()
