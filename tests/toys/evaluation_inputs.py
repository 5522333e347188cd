"""Small outputs of prepare, package and train: what the stage evaluate starts from.

Each utterance is a quiet tone whose number of samples no other has, so that a fake recogniser can
tell from the samples alone which one it hears.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxmill.corpus.sources.config import FolderSource
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.recipe.recipe import Recipe
from voxmill.recipe.sections import EvaluateConfig

RATE_HZ = 8000
ARTEFACTS = {"hf": 3_000_000, "onnx-fp32": 2_500_000, "onnx-int8": 800_000}


@dataclass(frozen=True, kw_only=True)
class ToyUtterance:
    """What was said, by whom, and how the recogniser of the test will know it."""

    id: str
    text: str
    samples: int
    speaker: str = "ann"
    split: str = "test"
    subset: str = "all"
    part: str = "all"


def toy_recipe(evaluate: EvaluateConfig | None = None, *, title: str = "Toy digits") -> Recipe:
    """A recipe whose audio has 8000 samples a second."""
    return Recipe(
        name="toy",
        title=title,
        family="ctc",
        source=FolderSource(kind="folder", path="nowhere"),
        model=CtcModelConfig(sample_rate_hz=RATE_HZ),
        evaluate=evaluate or EvaluateConfig(),
    )


def write_inputs(
    folder: Path,
    utterances: Sequence[ToyUtterance],
    *,
    curves: Sequence[Mapping[str, object]] = (),
    artefacts: Mapping[str, int] = ARTEFACTS,
) -> dict[str, Path]:
    """Writes the three folders and gives them by stage name."""
    inputs = {name: folder / name for name in ("prepare", "package", "train")}
    _write_prepared(inputs["prepare"], utterances)
    _write_packaged(inputs["package"], artefacts)
    inputs["train"].mkdir(parents=True)
    _write_lines(inputs["train"] / "curves.jsonl", curves)
    for stage, path in inputs.items():
        report = {
            "stage": stage,
            "verdict": "passed",
            "inputs": {"before": "ab" * 32},
            "started": "2026-11-21T03:04:05+00:00",
            "seconds": 83.4,
            "versions": {"voxmill": "0.1.0", "git_commit": "c0ffee" * 6 + "beef", "python": "3.11"},
        }
        (path / "report.json").write_text(json.dumps(report))
    return inputs


def tone(samples: int) -> np.ndarray:
    """A quiet tone: (samples,) in [-1, 1]."""
    times = np.arange(samples) / RATE_HZ
    return (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def _write_prepared(folder: Path, utterances: Sequence[ToyUtterance]) -> None:
    (folder / "shards").mkdir(parents=True)
    rows, offset = [], 0
    with (folder / "shards" / "00000.pcm").open("wb") as shard:
        for toy in utterances:
            shard.write((tone(toy.samples) * 32767).astype("<i2").tobytes())
            rows.append(_prepared(toy, offset))
            offset += toy.samples
    _write_lines(folder / "utterances.jsonl", sorted(rows, key=lambda row: str(row["id"])))


def _prepared(toy: ToyUtterance, offset: int) -> dict[str, object]:
    return {
        "id": toy.id,
        "split": toy.split,
        "shard": "00000.pcm",
        "offset_samples": offset,
        "samples": toy.samples,
        "text": toy.text,
        "text_original": toy.text.upper(),
        "labels": [2, 3],
        "speaker": toy.speaker,
        "subset": toy.subset,
        "part": toy.part,
    }


def _write_packaged(folder: Path, artefacts: Mapping[str, int]) -> None:
    folder.mkdir(parents=True)
    for name in artefacts:
        (folder / name).write_bytes(b"weights")
    listing = [{"name": name, "path": name, "bytes": size} for name, size in artefacts.items()]
    (folder / "artefacts.json").write_text(json.dumps(listing))


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
