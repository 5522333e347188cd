"""pipeline.json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voxmill.errors import UsageError
from voxmill.pipeline.graph import Graph, StageNode
from voxmill.pipeline.snapshot import Snapshot, read_snapshot, recipe_snapshot

ROOT = Path(__file__).resolve().parents[3]


def snapshot() -> Snapshot:
    graph = Graph(
        "toy",
        [
            StageNode(name="train", address="train@toy", upstream=("prepare",), meta={"gpus": 1}),
            StageNode(name="prepare", address="prepare@toy", inputs={"memory": "memory/toy"}),
        ],
    )
    facts = {
        "title": "Tiny č",
        "family": "ctc",
        "schedule": {"cron": "0 3 * * *"},
        "form": [{"key": "train.epochs", "section": "train", "schema": {"default": 3}}],
        "resources": {"gpus": 1},
    }
    return Snapshot(recipes={"toy": recipe_snapshot(graph, facts)})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Writing and reading are each other's mirror, letters with diacritics included."""
    path = tmp_path / "pipeline.json"
    path.write_text(snapshot().to_json(), "utf-8")
    assert Snapshot.read(path) == snapshot()
    assert path.read_text("utf-8") == Snapshot.read(path).to_json()


def test_plain_values_hold_the_form_under_its_own_names(tmp_path: Path) -> None:
    """Airflow reads keys, not our classes."""
    path = tmp_path / "pipeline.json"
    path.write_text(snapshot().to_json(), "utf-8")
    recipe = read_snapshot(path)["recipes"]["toy"]
    assert list(recipe["stages"]) == ["prepare", "train"]
    assert recipe["form"] == [{"key": "train.epochs", "section": "train", "schema": {"default": 3}}]
    assert recipe["schedule"] == {"cron": "0 3 * * *"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No .*pipeline.json. Write it with `voxmill graph`"),
        ("{", "is not what this voxmill writes"),
        ('{"format": 2, "recipes": {}}', "format: .* `voxmill graph`"),
        ('{"format": 1, "recipes": {"toy": {"title": "t"}}}', "recipes.toy.family: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_says_how_to_write_it(
    tmp_path: Path, content: str | None, words: str
) -> None:
    """It is generated, so the remedy is always the same."""
    path = tmp_path / "pipeline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=words):
        Snapshot.read(path)


def test_reading_it_brings_in_neither_dvc_nor_airflow_nor_torch() -> None:
    """Airflow reads its DAG files every few seconds."""
    code = (
        "import sys; from pathlib import Path\n"
        "from voxmill.pipeline.snapshot import read_snapshot\n"
        f"read_snapshot(Path({str(ROOT / 'pipeline.json')!r}))\n"
        "print(*sorted({'dvc', 'airflow', 'torch', 'numpy', 'ruamel'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_the_project_s_own_file_lists_eight_stages_for_each_recipe() -> None:
    """What Airflow draws and what the design says are the same."""
    recipes = json.loads((ROOT / "pipeline.json").read_text("utf-8"))["recipes"]
    assert "digits" in recipes
    assert {tuple(recipe["stages"]) for recipe in recipes.values()} == {
        ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
    }
