"""`voxmill graph`."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.cli import graph as command
from voxmill.errors import RecipeError, UsageError
from voxmill.families.catalogue import FAMILIES
from voxmill.pipeline.snapshot import Snapshot
from voxmill.stages.catalogue import STAGE_VERSIONS

ROOT = Path(__file__).resolve().parents[3]


def test_what_it_writes_is_fresh_and_the_same_each_time(project: Path) -> None:
    """`make check` may compare letter by letter."""
    command.graph(check=False)
    first = {name: (project / name).read_bytes() for name in ("versions.yaml", "pipeline.json")}
    command.graph(check=True)
    command.graph(check=False)
    assert first == {name: (project / name).read_bytes() for name in first}


def test_a_stale_file_fails_the_check_and_the_difference_is_shown(project: Path) -> None:
    """Nobody has to guess what changed; the check itself changes nothing."""
    command.graph(check=False)
    recipe = project / "recipes" / "digits.yaml"
    old = Snapshot.read(project / "pipeline.json").recipes["digits"].title
    recipe.write_text(recipe.read_text("utf-8").replace(f"title: {old}", "title: New words"))
    before = (project / "pipeline.json").read_bytes()
    with pytest.raises(UsageError, match=r"pipeline.json: not fresh") as stale:
        command.graph(check=True)
    assert '+      "title": "New words",' in str(stale.value).splitlines()
    assert (project / "pipeline.json").read_bytes() == before


def test_every_stage_has_its_own_version_and_where_it_runs_the_family_that_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raised number makes the stages run again whose code it stands for."""
    monkeypatch.setitem(STAGE_VERSIONS, "train", 7)
    text = command.generated(project)["versions.yaml"]
    assert f"  train: {{stage: 7, ctc: {FAMILIES['ctc'].version}}}" in text.splitlines()
    assert f"  ingest: {{stage: {STAGE_VERSIONS['ingest']}}}" in text.splitlines()


def test_a_recipe_that_leaves_out_a_section_is_refused_with_the_remedy(project: Path) -> None:
    """DVC would only notice in the middle of a run."""
    recipe = project / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("verify: {}", ""))
    with pytest.raises(RecipeError, match=r"verify: found nothing; state it"):
        command.generated(project)


def test_the_project_s_own_files_are_fresh() -> None:
    """pipeline.json and versions.yaml are checked in."""
    found = {name: (ROOT / name).read_text("utf-8") for name in ("versions.yaml", "pipeline.json")}
    assert command.generated(ROOT) == found
