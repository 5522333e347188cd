"""Proof of training on a pretrained encoder: real Whisper, real speech, the whole pipeline.

Learns from a few minutes of speech, so it proves the way and not the figure: docs/results.md has
that of the whole recipe. Takes a few minutes. `make proof AREA=voxformer`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from toys.real_project import fresh_clone, run

RECIPE = "voxformer-mini"
SMALL = {
    "train.num_samples": 48,
    "train.epochs": 5,
    "train.batch_seconds": 16.0,
    "train.warmup_steps": 30,
    "evaluate.max_utterances": 8,
    "evaluate.bootstrap_samples": 100,
    "evaluate.gates": "{}",
    "package.min_int8_agreement": 0,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A fresh clone in which the recipe ran once on real models and recordings."""
    folder = tmp_path_factory.mktemp("proof")
    run(
        "bash", str(shared / "tools" / "get_models"), str(folder / "models"), sys.executable,
        cwd=folder,
    )  # fmt: skip
    clone = fresh_clone(folder / "voxmill")
    places = {
        "base.model": folder / "models" / "whisper-tiny.en",
        "source.parts.mini.path": shared / "data" / "librispeech-mini",
        "source.parts.many.path": shared / "data" / "librispeech-many",
    }
    (folder / "places.json").write_text(json.dumps({key: str(p) for key, p in places.items()}))
    go(clone, "one", {})
    return clone


def go(project: Path, run_id: str, changes: dict[str, Any]) -> None:
    places = json.loads((project.parent / "places.json").read_text())
    values = {**SMALL, **places, **changes}
    settings = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    run("voxmill", "run", RECIPE, "--run-id", run_id, *settings, cwd=project, timeout_seconds=1200)


def outputs(project: Path, run_id: str) -> Path:
    return project / ".voxmill" / "runs" / RECIPE / run_id / "artifacts" / RECIPE


def report(project: Path, run_id: str, stage: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        (outputs(project, run_id) / stage / "report.json").read_text()
    )
    return loaded


def test_whisper_s_encoder_is_mirrored_trained_packaged_and_measured(project: Path) -> None:
    """A few minutes of speech make letters out of its frames, on speakers never heard."""
    mirrored = json.loads((outputs(project, "one") / "ingest" / "base.json").read_text())
    assert "base/model.safetensors" in mirrored["files"]
    trained = report(project, "one", "train")
    assert trained["verdict"] == "passed"
    assert trained["figures"]["best_value"] < 0.9, "character error rate on validation"
    measured = json.loads((outputs(project, "one") / "evaluate" / "metrics.json").read_text())
    assert measured["test-other"]["onnx-fp32"]["cer"] < 0.95
    package = outputs(project, "one") / "package"
    assert (package / "hf" / "modeling_voxformer.py").is_file()
    assert report(project, "one", "package")["verdict"] == "passed"


def test_another_run_starts_where_the_first_one_ended(project: Path) -> None:
    """`base.init_from` brings the weights; the optimizer is fresh and every tensor accounted."""
    go(project, "two", {"base.init_from": f"run:{RECIPE}/one", "train.epochs": 1})
    first, second = (report(project, name, "train")["figures"] for name in ("one", "two"))
    assert second["first_value"] == pytest.approx(first["best_value"], abs=0.02)
    account = json.loads((outputs(project, "two") / "train" / "init.json").read_text())
    assert account["matched"]
    assert account["missing"] == account["reshaped"] == []
