"""The port of forwarders, and what a run tells them besides its journal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from voxmill.observability.curves import JournalLine
from voxmill.pipeline.recipe_file import read_recipe_file
from voxmill.runs.run import Run, RunRecord

COMPARISONS = ("metrics.json", "hypotheses.jsonl", "errors.jsonl", "index.html")
"""Files of `evaluate` that set what was said against what was heard."""
_LOCK_FILE = "dvc.lock"


class Forwarder(Protocol):
    """Takes a run's lines; opened by its constructor, which fails where it cannot work."""

    @property
    def place(self) -> str:
        """Where the run can be looked at, for people."""

    def send(self, lines: Iterable[JournalLine]) -> None:
        """Passes lines on, in the order of their steps."""

    def finish(self, comparisons: Sequence[Path]) -> None:
        """Closes it, with the comparisons that there are by now."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a run is called elsewhere, and what it was made with."""

    recipe: str
    run: str
    name: str
    """Date and commit: `2026-11-21 03:45 89aab1e`."""
    config: Mapping[str, Any]
    """The recipe with its overrides, versions, and the manifests' hashes."""


def subject_of(run: Run) -> Subject:
    """What a run's own files say of it.

    Raises:
        UsageError: The recipe cannot be read.
    """
    record = RunRecord.read(run.folder)
    opened = datetime.fromisoformat(record.created)
    return Subject(
        recipe=run.recipe,
        run=run.id,
        name=f"{opened:%Y-%m-%d %H:%M} {record.base_commit[:7]}",
        config={
            "recipe": dict(read_recipe_file(run.recipe_file)),
            "overrides": dict(record.overrides),
            "commit": record.base_commit,
            "voxmill": record.voxmill,
            "run": f"{run.recipe}/{run.id}",
            "manifests": manifest_hashes(run),
        },
    )


def manifest_hashes(run: Run) -> dict[str, str]:
    """What the data were: DVC's hash of each stage's output, and sha256 of the source's listing."""
    found: dict[str, str] = {}
    listing = run.memory / "source.json"
    if listing.is_file():
        found["source"] = f"sha256:{hashlib.sha256(listing.read_bytes()).hexdigest()}"
    lock = run.folder / _LOCK_FILE
    stages = (yaml.safe_load(lock.read_text("utf-8")) or {}) if lock.is_file() else {}
    for name, stage in stages.get("stages", {}).items():
        for out in stage.get("outs", ()):
            found[name.partition("@")[0]] = f"md5:{out['md5']}"
    return found


def comparisons_of(run: Run) -> list[Path]:
    """The comparisons that the run has by now."""
    paths = (run.output("evaluate") / name for name in COMPARISONS)
    return [path for path in paths if path.is_file()]


def tag_of(metric: str, labels: Mapping[str, str]) -> str:
    """A metric's name elsewhere: `train_loss`, `wer_ratio/validation`."""
    return "/".join([metric.removeprefix("voxmill_"), *(labels[key] for key in sorted(labels))])
