"""`voxmill recipe new`: from a name to a recipe that DVC and Airflow know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from voxmill.pipeline.dvcfile import read_graphs
from voxmill.pipeline.snapshot import Snapshot


def voxmill(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxmill.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_new_recipe_is_known_to_dvc_airflow_and_memory(project: Path) -> None:
    """One command in place of six edits; what it writes is fresh."""
    before = (project / "dvc.yaml").read_text("utf-8").splitlines()
    done = voxmill(project, "recipe", "new", "mine", "--from", "ctc-scratch")
    assert done.returncode == 0, done.stderr
    copied, like = (project / f"recipes/{name}.yaml" for name in ("mine", "ctc-scratch"))
    assert copied.read_bytes() == like.read_bytes()
    graphs = read_graphs(project)
    mine, scratch = ([node.name for node in graphs[name].nodes] for name in ("mine", like.stem))
    assert mine == scratch
    assert "mine" in Snapshot.read(project / "pipeline.json").recipes
    memory = {file.name: file.read_text() for file in (project / "memory/mine").iterdir()}
    assert memory.pop("source.json") == "{}\n"
    assert set(memory) == {"splits.jsonl", "verdicts.jsonl", "tombstones.jsonl", "waivers.jsonl"}
    assert voxmill(project, "graph", "--check").returncode == 0
    after = (project / "dvc.yaml").read_text("utf-8").splitlines()
    added = [line.strip() for line in after if "mine" in line]
    stages = yaml.safe_load("\n".join(after))["stages"]
    assert added == ["- mine"] * len(stages) + ["- artifacts/mine/evaluate/metrics.json"]
    assert [line for line in after if "mine" not in line] == before
    assert "voxmill run mine" in done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits", "recipes/digits.yaml is there already"),
        ("My Recipe", "small letters, digits and dashes"),
        ("../out", "small letters, digits and dashes"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_written(
    project: Path,
    name: str,
    words: str,
) -> None:
    """Nobody's recipe is overwritten."""
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    refused = voxmill(project, "recipe", "new", name)
    assert refused.returncode == 64
    assert words in refused.stderr
    assert {file: file.read_bytes() for file in project.rglob("*") if file.is_file()} == before


def test_a_recipe_that_dvc_does_not_know_is_no_model_for_a_new_one(project: Path) -> None:
    """A copy of a file from elsewhere would be one that no stage runs for."""
    copy = project / "elsewhere.yaml"
    copy.write_bytes((project / "recipes" / "digits.yaml").read_bytes())
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    refused = voxmill(project, "recipe", "new", "mine", "--from", "elsewhere.yaml")
    assert refused.returncode == 64
    assert "has no recipe 'elsewhere'; it lists: ctc-scratch, digits" in refused.stderr
    assert {file: file.read_bytes() for file in project.rglob("*") if file.is_file()} == before


def test_the_last_recipe_of_the_list_can_be_copied_too(project: Path) -> None:
    """An empty line or a comment after the list stays where it was."""
    before = (project / "dvc.yaml").read_text("utf-8").splitlines()
    last = yaml.safe_load("\n".join(before))["stages"]["audit"]["matrix"]["recipe"][-1]
    assert voxmill(project, "recipe", "new", "mine", "--from", last).returncode == 0
    after = (project / "dvc.yaml").read_text("utf-8").splitlines()
    assert [line for line in after if "mine" not in line] == before
