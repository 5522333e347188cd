"""What documents promise about recipes, and recipes about documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
GUIDE = (ROOT / "docs" / "training-guide.md").read_text(encoding="utf-8")


def folders_of(recipe: dict) -> set[str]:
    """The folders below VOXMILL_DATA that a recipe reads: first part of each path."""
    source = recipe["source"]
    parts = source["parts"].values() if source["kind"] == "mixture" else [source]
    paths = [part["path"] for part in parts if "path" in part]
    paths += [recipe["base"]["model"]] if "model" in recipe["base"] else []
    return {path.removeprefix("./").partition("/")[0] for path in paths}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_guide_tells_where_every_folder_of_a_recipe_comes_from(path: Path) -> None:
    """Whoever wants to run it must be able to get its recordings and its base model."""
    section = GUIDE.partition("## Where recordings and base models come from")[2]
    rows = re.findall(r"^\| (`.+?) \|", section.partition("\n## ")[0], flags=re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert folders_of(yaml.safe_load(path.read_text(encoding="utf-8"))) <= told


def test_both_entries_of_ci_call_the_same_targets() -> None:
    """Green in one place means green in the other; what a plain user cannot run is named there."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    targets = re.findall(r"^make (.+)$", script, flags=re.MULTILINE)
    assert targets
    for target in targets:
        assert target.removeprefix("proof ") in workflow, target
