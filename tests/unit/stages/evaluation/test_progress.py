"""Progress survives a stop, and is trusted only for the same inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.families.family import Hypothesis
from voxmill.stages.evaluation.progress import Heard, Progress, fingerprint

HEARD = Heard(hypothesis=Hypothesis(text="č <b>\n", decoder="fake-beam8"), compute_seconds=0.25)


def saved(path: Path) -> Path:
    """A file of fingerprint `one` that knows one utterance."""
    progress = Progress(path, fingerprint="one")
    progress.add("hf", "u1", HEARD)
    progress.save()
    return path


def test_what_was_heard_is_known_again(tmp_path: Path):
    """Text, decoder and time come back as they were."""
    again = Progress(saved(tmp_path / "new" / "progress.jsonl"), fingerprint="one")
    assert again.get("hf", "u1") == HEARD
    assert again.get("onnx-fp32", "u1") is None
    assert len(again) == 1


@pytest.mark.parametrize("other", ["two", None])
def test_other_inputs_start_anew(tmp_path: Path, other: str | None):
    """Transcripts of another model must never be counted for this one."""
    assert len(Progress(saved(tmp_path / "p.jsonl"), fingerprint=other)) == 0


@pytest.mark.parametrize("content", ["", "nonsense", '{"fingerprint": "one"}\n{"id": 1}\n'])
def test_a_damaged_file_starts_anew(tmp_path: Path, content: str):
    """Measuring again is always right."""
    (tmp_path / "p.jsonl").write_text(content)
    assert len(Progress(tmp_path / "p.jsonl", fingerprint="one")) == 0


def test_cleared_progress_is_gone(tmp_path: Path):
    """A forced run later on measures anew."""
    path = saved(tmp_path / "p.jsonl")
    Progress(path, fingerprint="one").clear()
    assert not path.exists()


def test_a_fingerprint_stands_for_every_byte_and_the_decoder(tmp_path: Path):
    """One other byte, another fingerprint; a missing file, none at all."""
    file = tmp_path / "report.json"
    assert fingerprint([file], decoder="greedy") is None
    file.write_text("a")
    first = fingerprint([file], decoder="greedy")
    assert first == fingerprint([file], decoder="greedy")
    assert first != fingerprint([file], decoder="beam8")
    file.write_text("b")
    assert first != fingerprint([file], decoder="greedy")
