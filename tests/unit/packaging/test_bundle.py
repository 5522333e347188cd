"""A package holds what the contract names, and the list tells the truth about it."""

from __future__ import annotations

import json

import numpy as np

from toys.tone_speech import write_prepared
from voxmill.packaging.speech_samples import read_speech


def test_the_package_holds_what_the_contract_names(tones) -> None:
    """Evaluate and users find every file where they look for it."""
    for place in (
        "hf/model.safetensors",
        "hf/README.md",
        "hf/tokenizer.json",
        "onnx/model.onnx",
        "onnx/model.int8.onnx",
        "onnx/frontend.json",
        "onnx/tokenizer/tokenizer.json",
        "artefacts.json",
    ):
        assert (tones.package / place).is_file(), place


def test_the_list_names_each_artefact_with_its_size_on_disk(tones) -> None:
    """Paths are relative, sizes are those of the files."""
    listed = json.loads((tones.package / "artefacts.json").read_text())
    assert [entry["name"] for entry in listed] == ["hf", "onnx-fp32", "onnx-int8"]
    for entry in listed:
        place = tones.package / entry["path"]
        files = [place] if place.is_file() else [f for f in place.rglob("*") if f.is_file()]
        assert entry["bytes"] == sum(file.stat().st_size for file in files)


def test_speech_of_asked_lengths_has_those_lengths(tmp_path) -> None:
    """Utterances end to end, from the start again where they run out."""
    utterances = write_prepared(tmp_path)
    speech = read_speech(tmp_path, utterances, sample_rate_hz=8000, max_seconds=1.0)
    assert sum(map(len, speech.utterances)) <= 8000
    cut = speech.of_lengths([0.5, 30.0, 0.1])
    assert [len(samples) for samples in cut] == [4000, 240_000, 800]
    np.testing.assert_array_equal(cut[0], np.concatenate(speech.utterances)[:4000])
    assert np.abs(cut[1]).max() > 0.1


def test_at_least_one_validation_utterance_is_taken(tmp_path) -> None:
    """However little speech is asked for; training speech only where there is no other."""
    utterances = write_prepared(tmp_path)
    validation = [u for u in utterances if u.split == "validation"]
    taken = read_speech(tmp_path, utterances, sample_rate_hz=8000, max_seconds=0.001).utterances
    assert [len(samples) for samples in taken] == [validation[0].samples]
    training = [u for u in utterances if u.split == "train"]
    taken = read_speech(tmp_path, training, sample_rate_hz=8000, max_seconds=0.001).utterances
    assert [len(samples) for samples in taken] == [training[0].samples]
