"""ONNX files: free axes, the whole story in the metadata, int8 small and careful."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import onnx
import pytest

from toys.packaged_tones import spoken
from voxmill.packaging.onnx_file import open_session, write_fp32


@pytest.fixture(scope="module")
def files(tones):
    return {name: tones.artefact(name).path for name in ("onnx-fp32", "onnx-int8")}


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8"])
@pytest.mark.parametrize(("batch", "frames"), [(1, 2), (1, 57), (3, 128), (5, 900)])
def test_batch_and_time_are_free(files, name: str, batch: int, frames: int) -> None:
    """Any number of utterances of any length, though two short ones were traced."""
    features = np.random.default_rng(0).standard_normal((batch, frames, 40)).astype(np.float32)
    lengths = np.full(batch, frames, dtype=np.int64)
    scores, valid = open_session(files[name]).run(
        None, {"input_features": features, "mel_frames": lengths}
    )
    assert scores.shape == (batch, -(-frames // 4), 7)
    assert valid.tolist() == [-(-frames // 4)] * batch


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8"])
def test_the_graph_gives_probabilities(files, name: str) -> None:
    """The log-softmax is inside: each frame's tokens add up to one."""
    features = np.ones((1, 40, 40), dtype=np.float32)
    scores, _ = open_session(files[name]).run(
        None, {"input_features": features, "mel_frames": np.array([40])}
    )
    np.testing.assert_allclose(np.exp(scores).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8"])
def test_the_file_says_what_is_needed_to_use_it(files, tones, name: str) -> None:
    """Vocabulary, blank, front end and subsampling travel in the metadata."""
    told = open_session(files[name]).get_modelmeta().custom_metadata_map
    vocabulary = json.loads(told["vocabulary"])
    assert vocabulary[int(told["blank"])] == "<pad>"
    assert set("abcd") < set(vocabulary)
    assert json.loads(told["frontend"]) == dict(tones.pieces.frontend)
    assert told["subsampling"] == "4"
    assert told["family"] == "ctc"


def test_int8_holds_its_products_in_8_bits_and_its_convolutions_in_32(files) -> None:
    """Weights of products are quantised, every one of them; no convolution is."""
    operators = Counter(node.op_type for node in onnx.load(str(files["onnx-int8"])).graph.node)
    plain = Counter(node.op_type for node in onnx.load(str(files["onnx-fp32"])).graph.node)
    assert operators["ConvInteger"] == 0
    assert operators["Conv"] == plain["Conv"] > 0
    # What is left in fp32 multiplies two activations: scores, positions and values of attention.
    assert operators["MatMul"] == 3
    assert operators["MatMulInteger"] == plain["MatMul"] - 3 > 8


def test_int8_is_smaller(tones) -> None:
    """Even for a toy, whose graph outweighs its weights."""
    assert tones.artefact("onnx-int8").bytes < tones.artefact("onnx-fp32").bytes


def test_the_file_names_no_place_of_the_machine_and_comes_out_the_same(tones, tmp_path) -> None:
    """Two exports of one model are equal byte for byte and hold no path."""
    for name in ("a.onnx", "b.onnx"):
        write_fp32(
            tones.pieces.graph, tmp_path / name, batch=spoken()[:2], metadata=tones.pieces.metadata
        )
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_exporting_leaves_the_model_in_evaluation_mode(tones) -> None:
    """The exporter of torch sets a model to training: what is measured afterwards must not be."""
    assert not any(module.training for module in tones.pieces.graph.module.modules())
    assert not any(module.training for module in tones.pieces.network.modules())
