"""A fresh clone of this project for proofs, and values that make `digits` take a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, object] = {
    "source.utterances": 120,
    "source.voices": 12,
    "source.max_words": 3,
    "audit.min_accepted": 50,
    "prepare.split.validation_share": 0.25,
    "prepare.split.test_share": 0.25,
    "train.epochs": 1,
    "train.warmup_steps": 2,
    "package.min_int8_agreement": 0,
    "evaluate.bootstrap_samples": 100,
    "evaluate.gates.wer": 100,
    "evaluate.gates.real_time_factor": 100,
    "evaluate.gates.int8_wer_difference": 100,
}
"""Form values: few recordings, one pass, and gates that an untrained model passes."""


def fresh_clone(folder: Path) -> Path:
    """A clone of what is committed, on the branch main, with somebody to commit as."""
    # Releases of the checkout are not those of the clone.
    run("git", "clone", "--quiet", "--no-tags", str(ROOT), str(folder), cwd=ROOT)
    # A CI checkout may stand on no branch; runs need one to remember things in.
    run("git", "checkout", "--quiet", "-B", "main", cwd=folder)
    run("git", "config", "user.name", "proof", cwd=folder)
    run("git", "config", "user.email", "proof@example.org", cwd=folder)
    return folder


def run(*command: str, cwd: Path, timeout_seconds: float = 300) -> str:
    """The standard output of a command that must end with 0."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def _environment() -> dict[str, str]:
    """The caller's environment without voxmill's settings, this interpreter's commands first."""
    foreign = ("VOXMILL_", "AIRFLOW", "GIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept
