"""A training that cannot succeed ends as a real stage process does: exit code 70, and says why."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from toys.tone_speech import MODEL, write_prepared
from voxmill.training.checkpoint import damage

TRAIN: dict[str, Any] = {
    "seed": 3, "epochs": 40, "batch_seconds": 16.0, "learning_rate": 4e-3, "warmup_steps": 4,
    "buckets": 4, "threads": 1, "watchdog": {"grace_steps": 0},
}  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """How a stage process ended."""

    code: int
    said: str
    out: Path
    work: Path


def stage_train(folder: Path, *, attempt: int = 1, **train: Any) -> Tried:
    """`voxmill stage train` on what lies in `folder/prepare`."""
    sections = {name: {} for name in ("audit", "verify", "prepare", "probe", "package", "evaluate")}
    recipe = {
        "title": "Tones", "family": "ctc", "source": {"kind": "folder", "path": "nowhere"},
        "model": MODEL.model_dump(mode="json"), "train": {**TRAIN, **train}, **sections,
    }  # fmt: skip
    (folder / "tones.yaml").write_text(yaml.safe_dump(recipe))
    out, work = folder / f"out.{attempt}", folder / "work"
    command = [
        *(sys.executable, "-m", "voxmill.cli.main", "stage", "train", "--attempt", str(attempt)),
        *("--recipe", str(folder / "tones.yaml"), "--in", f"prepare={folder / 'prepare'}"),
        *("--out", str(out), "--work", str(work)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return Tried(done.returncode, done.stderr, out, work)


def shuffle_transcripts(prepared: Path) -> None:
    """Each recording gets the text of another one."""
    path = prepared / "utterances.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    said = [{name: row[name] for name in ("text", "text_original", "labels")} for row in rows]
    moved = [{**row, **said[(7 * number + 11) % len(rows)]} for number, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in moved))


@pytest.fixture
def tones(tmp_path):
    """A language that this network learns within seconds."""
    write_prepared(tmp_path / "prepare", utterances=60)
    return tmp_path


def test_transcripts_of_other_recordings_are_found_out(tones):
    """The network falls silent; the stage says so, keeps its checkpoints, and stays ended."""
    shuffle_transcripts(tones / "prepare")
    tried = stage_train(tones)
    assert tried.code == 70, tried.said
    for part in (
        "voxmill: Training stopped at step ",
        "the network said the same whatever it heard",
        "Usual causes: ",
        "transcripts that do not belong to the audio",
        "What to change: lower train.learning_rate",
        "the best checkpoint, of step ",
        "train.watchdog.collapse.evaluations: null",
    ):
        assert part in tried.said
    assert not (tried.out / "report.json").exists()
    best = json.loads((tried.work / "checkpoints" / "best.json").read_text())
    assert damage(tried.work / "checkpoints" / best["folder"]) is None
    journal = (tried.work / "journal" / "1.jsonl").read_text()
    assert '"reason": "collapse"' in journal.splitlines()[-1]
    again = stage_train(tones, attempt=2)
    assert again.code == 70
    assert "An earlier attempt ended so" in again.said


def test_an_absurd_learning_rate_is_found_out(tones):
    """The loss leaves everything behind; the advice is the learning rate."""
    rules = {name: {"evaluations": None} for name in ("collapse", "stuck", "regression")}
    absurd = {"learning_rate": 5.0, "clip_norm": 1e9}
    tried = stage_train(tones, **absurd, watchdog={**rules, "explosion": {"steps": 10}})
    assert tried.code == 70, tried.said
    assert ": explosion." in tried.said
    assert "What to change: lower train.learning_rate" in tried.said


def test_the_same_training_with_sound_settings_comes_to_its_end(tones):
    """The rules that stopped the others let it pass, without any grace."""
    milestones = [{"after_epochs": 20, "wer": 0.5}, {"after_epochs": 25, "wer": 0.0001}]
    tried = stage_train(tones, epochs=25, milestones=milestones)
    assert tried.code == 0, tried.said
    report = json.loads((tried.out / "report.json").read_text())
    verdicts = {check["name"]: check["passed"] for check in report["checks"]}
    assert verdicts["train.learned"]
    assert verdicts["train.milestone[20]"]
    assert "train.milestone[25]" in verdicts
