"""What is measured: every split that was not trained on, and the artefacts that package listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toys.evaluation_inputs import ToyUtterance, write_inputs
from voxmill.errors import DataError
from voxmill.recipe.sections import EvaluateConfig
from voxmill.stages.evaluation.selection import (
    decoder_name,
    read_artefacts,
    read_test_sets,
)


def toys(splits: str) -> list[ToyUtterance]:
    """One utterance for each split named in the string."""
    return [
        ToyUtterance(id=f"u{i:03d}", text="one", samples=800 + i, split=split)
        for i, split in enumerate(splits.split())
    ]


def test_every_split_but_train_and_validation_is_a_test_set(tmp_path: Path):
    """What the model learned from, or was chosen by, never measures it."""
    inputs = write_inputs(tmp_path, toys("train test noisy validation test"))
    sets = read_test_sets(inputs["prepare"], max_utterances=None)
    assert {name: [u.id for u in utterances] for name, utterances in sets.items()} == {
        "noisy": ["u002"],
        "test": ["u001", "u004"],
    }


def test_no_test_utterance_is_a_data_error_with_the_remedy(tmp_path: Path):
    """Nothing to measure is never a perfect score."""
    inputs = write_inputs(tmp_path, toys("train train validation"))
    with pytest.raises(DataError, match=r"prepare\.split\.test_share"):
        read_test_sets(inputs["prepare"], max_utterances=None)


def test_a_sample_of_a_test_set_is_nested_and_does_not_follow_the_ids(tmp_path: Path):
    """Hash order: a smaller sample is part of a larger one, and not simply the first ids."""
    inputs = write_inputs(tmp_path, toys("test " * 40))

    def sample(count: int) -> list[str]:
        found = read_test_sets(inputs["prepare"], max_utterances=count)["test"]
        return [utterance.id for utterance in found]

    assert len(sample(10)) == 10
    assert set(sample(10)) < set(sample(20))
    assert sample(10) == sorted(sample(10))
    assert sample(10) != [f"u{i:03d}" for i in range(10)]
    assert len(sample(99)) == 40


def test_a_test_set_may_not_take_the_place_of_the_sizes(tmp_path: Path):
    """`sizes` is a key of metrics.json."""
    inputs = write_inputs(tmp_path, toys("sizes"))
    with pytest.raises(DataError, match="Give it another name"):
        read_test_sets(inputs["prepare"], max_utterances=None)


def test_artefacts_come_in_the_asked_order_with_whole_paths(tmp_path: Path):
    """The listing's paths start at package's folder."""
    packaged = write_inputs(tmp_path, toys("test"))["package"]
    artefacts = read_artefacts(packaged, ["onnx-int8", "hf"])
    assert [(a.name, a.path, a.bytes) for a in artefacts] == [
        ("onnx-int8", packaged / "onnx-int8", 800_000),
        ("hf", packaged / "hf", 3_000_000),
    ]


def test_an_unlisted_artefact_is_named_with_what_there_is(tmp_path: Path):
    """The message tells both sides."""
    packaged = write_inputs(tmp_path, toys("test"), artefacts={"hf": 1})["package"]
    with pytest.raises(DataError, match=r"lists hf but evaluate\.artefacts asks for onnx-fp32"):
        read_artefacts(packaged, ["hf", "onnx-fp32"])


def test_a_listed_artefact_that_is_gone_is_a_data_error(tmp_path: Path):
    """A half-pulled package is noticed before hours of listening."""
    packaged = write_inputs(tmp_path, toys("test"))["package"]
    (packaged / "onnx-int8").unlink()
    with pytest.raises(DataError, match="dvc pull"):
        read_artefacts(packaged, ["onnx-int8"])


@pytest.mark.parametrize("content", ["", "{", "{}x", json.dumps([{"name": "hf"}]), "[3]"])
def test_a_broken_listing_is_a_data_error(tmp_path: Path, content: str):
    """Whatever stands in artefacts.json, the message says what it should be."""
    (tmp_path / "artefacts.json").write_text(content)
    with pytest.raises(DataError, match="name, path and bytes"):
        read_artefacts(tmp_path, ["hf"])


def test_the_decoder_is_named_with_its_beam():
    """One word says how hypotheses were found."""
    assert decoder_name(EvaluateConfig()) == "greedy"
    assert decoder_name(EvaluateConfig(decoder="beam", beam_width=12)) == "beam12"
    one = EvaluateConfig(decoder="beam", min_tokens=1, max_tokens=1)
    assert decoder_name(one) == "beam8:1-1"
    assert decoder_name(EvaluateConfig(decoder="beam", min_tokens=1)) == "beam8:1-"
    assert decoder_name(EvaluateConfig(decoder="beam", max_tokens=7)) == "beam8:0-7"
