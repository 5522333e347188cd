"""Parity is measured where it could fail, and a spoiled file does not pass."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from toys.packaged_tones import spoken
from voxmill.packaging.parity import (
    Agreement,
    BatchParity,
    Parity,
    measure_fp32,
    measure_int8,
)


def speech(tones, seconds=(0.4, 1.3, 3.1)):
    row = np.concatenate(spoken() * 4)
    return [row[: int(length * 8000)] for length in seconds]


def test_onnx_fp32_says_what_pytorch_says_at_every_length(tones) -> None:
    """Alone and padded beside a neighbour; differences are those of rounding."""
    found = measure_fp32(
        tones.pieces.graph,
        tones.artefact("onnx-fp32").path,
        utterances=speech(tones),
        sample_rate_hz=8000,
    )
    assert [batch.seconds for batch in found] == [(0.4,), (1.3,), (3.1,), (0.4, 1.3), (1.3, 3.1)]
    assert max(batch.largest_difference for batch in found) < 1e-3


def test_int8_picks_the_same_tokens_nearly_everywhere(tones) -> None:
    """Frames are counted; almost all agree."""
    utterances = speech(tones)
    found = measure_int8(
        tones.pieces.graph, tones.artefact("onnx-int8").path, utterances=utterances
    )
    assert found.frames == sum(-(-(len(u) // 80) // 4) for u in utterances)
    assert found.share > 0.9


def test_a_spoiled_file_shows(tones, tmp_path) -> None:
    """Weights with a bit of noise are no longer at parity, and pick other tokens."""
    model = onnx.load(str(tones.artefact("onnx-fp32").path))
    generator = np.random.default_rng(0)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim == 2:
            noisy = values + 0.3 * generator.standard_normal(values.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(noisy, weight.name))
    onnx.save(model, str(tmp_path / "spoiled.onnx"))
    found = measure_fp32(
        tones.pieces.graph, tmp_path / "spoiled.onnx", utterances=speech(tones), sample_rate_hz=8000
    )
    assert max(batch.largest_difference for batch in found) > 0.1
    agreement = measure_int8(
        tones.pieces.graph, tmp_path / "spoiled.onnx", utterances=speech(tones)
    )
    assert agreement.share < 0.9


def test_the_worst_batch_decides() -> None:
    """The gate sees the largest difference of all, and json holds each."""
    batches = tuple(
        BatchParity(seconds=(1.0,), largest_difference=value) for value in (1e-6, 0.2, 1e-5)
    )
    parity = Parity(batches=batches, int8=Agreement(frames=200, agreeing=197))
    assert parity.largest_difference == 0.2
    assert parity.int8.share == 0.985
    assert parity.to_json()["int8"] == {"frames": 200, "agreeing": 197, "share": 0.985}
    assert Agreement(frames=0, agreeing=0).share == 1.0
