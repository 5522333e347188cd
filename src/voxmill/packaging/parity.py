"""Does an ONNX file say what PyTorch says? Measured at several lengths, alone and padded.

Legend: B utterances, S output frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voxmill.families.family import OnnxGraph, Samples
from voxmill.packaging.onnx_file import open_session

_Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class BatchParity:
    """One batch through PyTorch and through ONNX."""

    seconds: tuple[float, ...]
    """Length of each utterance; of two, the shorter one is padded."""
    largest_difference: float
    """Of a log-probability, over all valid frames and tokens."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """On how many frames two artefacts pick the same token."""

    frames: int
    agreeing: int

    @property
    def share(self) -> float:
        """1 where there is no frame at all."""
        return self.agreeing / self.frames if self.frames else 1.0


@dataclass(frozen=True, kw_only=True)
class Parity:
    """fp32 against PyTorch in numbers, int8 against PyTorch in decisions."""

    batches: tuple[BatchParity, ...]
    int8: Agreement

    @property
    def largest_difference(self) -> float:
        """The worst of all batches."""
        return max(batch.largest_difference for batch in self.batches)

    def to_json(self) -> dict[str, Any]:
        """For `parity.json`."""
        return {
            "batches": [asdict(batch) for batch in self.batches],
            "largest_difference": self.largest_difference,
            "int8": {**asdict(self.int8), "share": self.int8.share},
        }


def measure_fp32(
    graph: OnnxGraph, file: Path, *, utterances: Sequence[Samples], sample_rate_hz: float
) -> tuple[BatchParity, ...]:
    """Runs each utterance alone, and each two neighbours as one padded batch."""
    session = open_session(file)
    batches = [[samples] for samples in utterances]
    batches += [list(two) for two in pairwise(utterances)]
    return tuple(
        BatchParity(
            seconds=tuple(round(len(samples) / sample_rate_hz, 3) for samples in batch),
            largest_difference=_largest_difference(graph, session, batch),
        )
        for batch in batches
    )


def measure_int8(graph: OnnxGraph, file: Path, *, utterances: Sequence[Samples]) -> Agreement:
    """Compares the likeliest token of each frame, one utterance at a time."""
    session = open_session(file)
    frames = agreeing = 0
    for samples in utterances:
        (expected, counts), (found, _) = _both(graph, session, [samples])
        same = expected.argmax(-1) == found.argmax(-1)  # (1, S)
        frames += int(counts[0])
        agreeing += int(same[0, : counts[0]].sum())
    return Agreement(frames=frames, agreeing=agreeing)


def _largest_difference(graph: OnnxGraph, session: Any, batch: Sequence[Samples]) -> float:
    (expected, counts), (found, found_counts) = _both(graph, session, batch)
    if not np.array_equal(counts, found_counts):
        return float("inf")
    return max(
        float(np.abs(expected[row, :count] - found[row, :count]).max(initial=0.0))
        for row, count in enumerate(counts)
    )


def _both(graph: OnnxGraph, session: Any, batch: Sequence[Samples]) -> tuple[_Outputs, _Outputs]:
    import torch

    inputs = graph.example(batch)
    with torch.inference_mode():
        scores, counts = graph.module(*inputs)
    named = {name: tensor.numpy() for name, tensor in zip(graph.inputs, inputs, strict=True)}
    found = session.run(list(graph.outputs), named)
    return (scores.numpy(), counts.numpy()), (found[0], found[1])
