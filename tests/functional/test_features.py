"""A folder of arrays goes the whole way: from `.npy` files to a measured package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toys.arrays_way import Way, made_once
from toys.directions import FRAME_SECONDS
from unit.cli.test_transcribe_command import transcribe
from voxmill.corpus.features import read_settings


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    return made_once(tmp_path_factory.mktemp("features"))


def test_every_stage_of_the_way_passes(way: Way) -> None:
    """Gates of audit, prepare, package and evaluate included."""
    verdicts = {name: report.verdict for name, report in way.reports.items()}
    assert set(verdicts.values()) <= {"passed", "not_applicable"}, [
        check for report in way.reports.values() for check in report.checks if not check.passed
    ]


def test_files_that_are_no_arrays_of_that_shape_are_rejected_with_their_reason(way: Way) -> None:
    """Each fault has its own name."""
    lines = (way.folder / "audit/rejected.jsonl").read_text().splitlines()
    assert {one["id"]: one["reason"] for one in map(json.loads, lines)} == {
        "nan_s0_900": "non_finite_array",
        "wide_s0_901": "wrong_shape",
        "flat_s0_902": "wrong_shape",
        "none_s0_903": "empty_array",
        "text_s0_904": "unreadable_array",
    }


def test_mean_and_deviation_are_those_of_the_training_split_alone(way: Way) -> None:
    """Another split's values must not leak into what the network hears."""
    rows = [json.loads(line) for line in (way.folder / "prepare/utterances.jsonl").open()]
    arrays = [
        np.load(way.folder / "arrays" / f"{row['id']}.npy")
        for row in rows
        if row["split"] == "train"
    ]
    assert 0 < len(arrays) < len(rows)
    together = np.concatenate(arrays).astype(np.float64)
    settings = read_settings(way.folder / "prepare")
    assert settings is not None
    np.testing.assert_allclose(settings.mean, together.mean(0), rtol=1e-5)
    np.testing.assert_allclose(settings.deviation, together.std(0), rtol=1e-5)
    assert way.json("package/onnx/frontend.json") == {"kind": "features", **settings.to_json()}
    assert way.json("package/hf/frontend.json") == way.json("package/onnx/frontend.json")


def test_the_packaged_files_read_the_language(way: Way) -> None:
    """ONNX in both precisions and the Hugging Face folder, on unseen arrays."""
    metrics = way.json("evaluate/metrics.json")
    for artefact in ("hf", "onnx-fp32", "onnx-int8"):
        assert metrics["test"][artefact]["cer"] < 0.1, metrics
    seconds = sum(
        json.loads(line)["samples"] * FRAME_SECONDS
        for line in (way.folder / "prepare/utterances.jsonl").open()
        if json.loads(line)["split"] == "test"
    )
    assert way.json("prepare/splits.json")["test"]["hours"] == round(seconds / 3600, 4)


def test_the_card_says_how_to_call_the_model_and_what_it_says_works(
    way: Way, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the card is run as it stands, on an array of the language."""
    card = (way.folder / "package/hf/README.md").read_text()
    assert "pipeline_tag" not in card
    code = card.split("```python\n")[1].split("```")[0]
    rows = [json.loads(line) for line in (way.folder / "evaluate/hypotheses.jsonl").open()]
    row = next(row for row in rows if row["artefact"] == "hf")
    features = np.load(way.folder / "arrays" / f"{row['id']}.npy")
    np.save(tmp_path / "features.npy", features)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("path/to/this/folder", str(way.folder / "package/hf")))
    assert capsys.readouterr().out.strip() == row["hypothesis"]


def test_a_released_package_transcribes_arrays_without_torch(way: Way) -> None:
    """As in the image that serves; a file that is no such array is refused by name."""
    rows = [json.loads(line) for line in (way.folder / "evaluate/hypotheses.jsonl").open()]
    row = next(row for row in rows if row["artefact"] == "onnx-fp32")
    array = way.folder / "arrays" / f"{row['id']}.npy"
    done = transcribe(way.folder / "package", array)
    assert done.stdout == f"{array}\t{row['hypothesis']}\n", done.stderr
    refused = transcribe(way.folder / "package", way.folder / "arrays/wide_s0_901.npy")
    assert refused.returncode == 65
    assert "expected (T, 6)" in refused.stderr
