"""Measuring: every artefact hears every utterance once, with a watch, and can be interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.recogniser import FakeFamily
from toys.evaluation_inputs import RATE_HZ, tone
from voxmill.errors import CheckpointedAndLeft
from voxmill.families.family import Artefact
from voxmill.stages.evaluation.measurement import Bench, measure
from voxmill.stages.evaluation.progress import Progress

from .builders import transcript

ARTEFACTS = tuple(Artefact(name=name, path=Path(name), bytes=1) for name in ("hf", "onnx-fp32"))
SETS = {
    "test": [transcript("one two", "", id=f"t{i}").utterance for i in range(3)],
    "noisy": [transcript("three", "", id="n0", seconds=2.0).utterance],
}


def bench(family: FakeFamily, path: Path, **changes: object) -> Bench:
    """A bench with a fake family and a fake clock."""
    settings = {
        "family": family,
        "decoder": "beam8",
        "samples": lambda utterance: tone(utterance.samples),
        "sample_rate_hz": RATE_HZ,
        "clock": family.clock,
        "stop_requested": lambda: False,
        "progress": Progress(path / "progress.jsonl", fingerprint="same"),
        "bootstrap_samples": 100,
    }
    return Bench(**(settings | changes))


def test_every_artefact_hears_every_test_set(tmp_path: Path):
    """Opened once each, with the asked decoder, which every transcript names."""
    family = FakeFamily(lambda artefact, samples: "one two" if artefact == "hf" else "one")
    measurements = measure(bench(family, tmp_path), ARTEFACTS, SETS)
    assert family.opened == [("hf", "beam8"), ("onnx-fp32", "beam8")]
    assert [(m.artefact.name, m.test_set, m.score.words.errors) for m in measurements] == [
        ("hf", "test", 0),
        ("hf", "noisy", 2),
        ("onnx-fp32", "test", 3),
        ("onnx-fp32", "noisy", 1),
    ]
    assert {m.decoder for m in measurements} == {"fake-beam8"}


def test_words_and_characters_have_an_interval_each(tmp_path: Path):
    """One utterance of three is heard wrong, in one word of two but one character of seven."""
    family = FakeFamily(lambda _, samples: "one twa" if len(samples) == 3 * RATE_HZ else "one two")
    utterances = [
        transcript("one two", "", id=f"t{seconds}", seconds=seconds).utterance
        for seconds in (1.0, 2.0, 3.0)
    ]
    (measured,) = measure(bench(family, tmp_path), ARTEFACTS[:1], {"test": utterances})
    assert (measured.interval.low, measured.interval.high) == (0.0, 0.5)
    assert measured.character_interval.low == 0.0
    assert measured.character_interval.high == pytest.approx(1 / 7)


def test_the_first_call_of_an_artefact_is_not_timed(tmp_path: Path):
    """It costs 9 s here; the real-time factor is 0.5 s for one second of speech all the same."""
    family = FakeFamily(lambda *_: "one two", seconds=0.5, first_seconds=9.0)
    first, second, *_ = measure(bench(family, tmp_path), ARTEFACTS, SETS)
    assert first.real_time_factor == pytest.approx(0.5)
    assert second.real_time_factor == pytest.approx(0.25)
    assert len(family.calls) == 2 * (1 + 4)


def test_reading_files_is_not_timed(tmp_path: Path):
    """The watch runs for the recogniser alone."""
    family = FakeFamily(lambda *_: "one two", seconds=0.1, first_seconds=0.1)

    def slow(utterance):
        family.clock.now += 5.0
        return tone(utterance.samples)

    first, *_ = measure(bench(family, tmp_path, samples=slow), ARTEFACTS, SETS)
    assert first.real_time_factor == pytest.approx(0.1)


def test_a_stopped_measurement_goes_on_where_it_was(tmp_path: Path):
    """Nothing is heard twice but the warm-up, and the figures are those of one go."""
    whole_family = FakeFamily(lambda *_: "one two")
    whole = measure(bench(whole_family, tmp_path / "whole"), ARTEFACTS, SETS)
    family = FakeFamily(lambda *_: "one two")
    stop = bench(family, tmp_path, stop_requested=lambda: len(family.calls) > 5)
    with pytest.raises(CheckpointedAndLeft, match="after 5 transcriptions"):
        measure(stop, ARTEFACTS, SETS)
    heard = len(family.calls)
    resumed = measure(bench(family, tmp_path), ARTEFACTS, SETS)
    assert resumed == whole
    assert len(family.calls) - heard == 1 + 3


def test_a_finished_artefact_is_not_opened_again(tmp_path: Path):
    """With everything known there is nothing to load."""
    family = FakeFamily(lambda *_: "one two")
    first = bench(family, tmp_path)
    measure(first, ARTEFACTS, SETS)
    first.progress.save()
    family.opened.clear()
    measure(bench(family, tmp_path), ARTEFACTS, SETS)
    assert family.opened == []
