"""The worst utterances: chosen by errors, with their recordings."""

from __future__ import annotations

from toys.evaluation_inputs import RATE_HZ, tone
from voxmill.stages.evaluation.examples import worst_examples

from .builders import measurement, transcript


def worst(*measurements, count: int = 10) -> tuple:
    """Examples with a generous budget."""
    return worst_examples(
        measurements,
        count=count,
        samples=lambda utterance: tone(utterance.samples),
        sample_rate_hz=RATE_HZ,
        budget_bytes=10**6,
    )


def test_most_errors_come_first_then_the_highest_rate():
    """Two errors before one; one in one word before one in three."""
    found = worst(
        measurement(
            transcript("a b c", "x b c", id="one-of-three"),
            transcript("a", "a", id="right"),
            transcript("a", "x", id="one-of-one"),
            transcript("a b c d", "x y c d", id="two"),
        )
    )
    ids = [example.transcript.utterance.id for example in found]
    assert ids == ["two", "one-of-one", "one-of-three"]
    assert all(example.audio.startswith("data:audio/flac") for example in found)


def test_of_features_there_is_nothing_to_hear():
    """Neither a player nor a note on why there is none."""
    [found] = worst_examples(
        [measurement(transcript("a", "x", id="one"))],
        count=10,
        samples=None,
        sample_rate_hz=50.0,
        budget_bytes=10**6,
    )
    assert found.audio is None
    assert not found.audible


def test_all_test_sets_compete_for_the_places():
    """The page shows the worst of all."""
    found = worst(
        measurement(transcript("a b", "x b", id="mild")),
        measurement(transcript("a b", "x y", id="bad"), test_set="noisy"),
        count=1,
    )
    assert [(e.test_set, e.transcript.utterance.id) for e in found] == [("noisy", "bad")]


def test_kinds_of_errors_are_known_for_the_filter():
    """Each kind once; equal words are none."""
    (example,) = worst(measurement(transcript("a b c d", "a x d e")))
    assert set(example.kinds.split()) <= {"delete", "insert", "substitute"}
    (lost,) = worst(measurement(transcript("a b", "a")))
    assert lost.kinds == "delete"
