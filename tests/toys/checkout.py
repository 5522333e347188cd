"""A checkout of two stages, `ingest` and `audit`, of a toy recipe `digits`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from voxmill.launchers.launcher import StageRun
from voxmill.pipeline.graph import Graph, StageNode
from voxmill.pipeline.snapshot import Snapshot, recipe_snapshot

RECIPE = "title: toy\nfamily: ctc\nsource: {kind: synthetic}\nresources: {}\n"
META = {"gpus": 0, "source_mount": False, "timeout_hours": 2, "grace_seconds": 7}


def node(name: str, *upstream: str, **meta: object) -> StageNode:
    inputs = {each: f"artifacts/digits/{each}" for each in upstream}
    return StageNode(
        name=name,
        address=f"{name}@digits",
        upstream=upstream,
        inputs={**inputs, "memory": "memory/digits"},
        meta={**META, **meta},
    )


def toy_checkout(folder: Path) -> Path:
    """A checkout with pipeline.json, recipe and memory; nothing of DVC or git."""
    graph = Graph("digits", [node("ingest", source_mount=True), node("audit", "ingest")])
    facts = {"title": "toy", "family": "ctc"}
    snapshot = Snapshot(recipes={"digits": recipe_snapshot(graph, facts)})
    (folder / "pipeline.json").write_text(snapshot.to_json())
    (folder / "recipes").mkdir()
    (folder / "recipes" / "digits.yaml").write_text(RECIPE)
    (folder / "memory" / "digits").mkdir(parents=True)
    return folder


def write_report(folder: Path, stage: str, **changes: object) -> None:
    """A report beside the files that are in the folder, as a stage writes it last."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "report.json"]
    report = {
        "stage": stage,
        "recipe": "digits",
        "verdict": "passed",
        "checks": [],
        "outputs": {
            str(path.relative_to(folder)): {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        },
    }
    (folder / "report.json").write_text(json.dumps(report | changes))


def good(run: StageRun) -> int:
    """A stage that ends well."""
    (run.out / "made.txt").write_text(run.stage)
    write_report(run.out, run.stage)
    return 0


def finished_ingest(checkout: Path, **changes: object) -> None:
    write_report(checkout / "artifacts" / "digits" / "ingest", "ingest", **changes)
