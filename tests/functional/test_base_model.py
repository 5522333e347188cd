"""A real ingest as a process of its own, with a hub on loopback or a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys.corpora import digits
from toys.hub_server import COMMIT, MODEL, ToyHub, model_files, running, write_files
from toys.small_bases import small_base
from voxmill.launchers.launcher import StageResult, StageRun
from voxmill.launchers.process import ProcessLauncher

RECIPE = """\
title: A toy with a base
family: ctc
source: {{kind: folder, path: recordings}}
base: {base}
model: {model}
audit: {audit}
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyHub]:
    with running(ToyHub(files=model_files(tmp_path / "made"))) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", "hf_not_for_stages")
        yield server


def ingest(
    tmp_path: Path, section: dict, *, network: bool, encoder: dict | None = None, **inputs: Path
) -> StageResult:
    """Runs the stage command as the launcher `process` does."""
    digits(tmp_path / "recordings", speakers=1, takes=1, words="01")
    (tmp_path / "memory").mkdir()
    recipe = tmp_path / "toy.yaml"
    sections = {"base": section, "model": {}, "audit": {}}
    if encoder is not None:
        sections |= {"model": {"encoder": encoder}, "audit": {"frame_seconds": 0.02}}
    texts = {name: json.dumps(values) for name, values in sections.items()}
    recipe.write_text(RECIPE.format(**texts))
    order = StageRun(
        run="toy-one",
        recipe="toy",
        stage="ingest",
        attempt=1,
        recipe_file=recipe,
        inputs={"source": tmp_path / "recordings", "memory": tmp_path / "memory", **inputs},
        out=tmp_path / "out",
        work=tmp_path / "work",
        resources={"network": network},
    )
    order.work.mkdir()
    return ProcessLauncher(emit=lambda _: None).run(order)


HUB = {"model": MODEL, "revision": COMMIT}


def test_ingest_alone_may_ask_the_hub_and_shows_it_no_login(hub: ToyHub, tmp_path: Path) -> None:
    """HF_ENDPOINT is passed on, tokens are not."""
    result = ingest(tmp_path, HUB, network=True)
    assert result.exit_code == 0, result.log.read_text()
    mirrored = json.loads((tmp_path / "out" / "base.json").read_text())
    assert mirrored["revision"] == COMMIT
    weights = tmp_path / "out" / "base" / "model.safetensors"
    assert weights.read_bytes() == hub.files["model.safetensors"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["config"]["base"]["model"] == MODEL
    assert report["outputs"]["base/model.safetensors"]["sha256"] in str(mirrored)
    assert hub.requests
    assert not hub.logins


def test_a_stage_without_the_network_says_that_the_hub_does_not_answer(
    hub: ToyHub, tmp_path: Path
) -> None:
    """With what to do instead; another try may find the hub, so the exit code is no final one."""
    result = ingest(tmp_path, HUB, network=False)
    assert result.exit_code == 1
    assert "name a folder in base.model" in result.log.read_text()
    assert not hub.requests


def test_a_folder_needs_no_network(tmp_path: Path) -> None:
    """A machine without a hub is handed the model in a folder."""
    folder = write_files(tmp_path / "model", model_files(tmp_path / "made", parts=2))
    result = ingest(tmp_path, {"model": "model"}, network=False, base=folder)
    assert result.exit_code == 0, result.log.read_text()
    names = {path.name for path in (tmp_path / "out" / "base").iterdir()}
    assert "model-00002-of-00002.safetensors" in names
    assert "pytorch_model.bin" not in names


def test_an_encoder_of_another_architecture_ends_ingest_with_65_and_no_recording_copied(
    tmp_path: Path,
) -> None:
    """A mistake in the recipe costs the mirror of the model, not that of the corpus."""
    folder = small_base(tmp_path / "model", "hubert")
    encoder = {"kind": "pretrained", "architecture": "whisper"}
    result = ingest(tmp_path, {"model": "model"}, network=False, encoder=encoder, base=folder)
    assert result.exit_code == 65, result.log.read_text()
    assert "architecture is 'whisper', its config.json says 'hubert'" in result.log.read_text()
    assert not (tmp_path / "out" / "archives").exists()
