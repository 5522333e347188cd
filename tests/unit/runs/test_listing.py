"""How a source's listing differs from what memory has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voxmill.errors import EngineMissing, UsageError
from voxmill.runs.lister import ListingOrder, list_in_workshop, list_source
from voxmill.runs.listing import compare

REPOSITORY = Path(__file__).resolve().parents[3]


def listing(**files: str) -> bytes:
    return json.dumps(
        {"kind": "folder", "files": {k: {"sha256": v} for k, v in files.items()}}
    ).encode()


def test_files_are_added_removed_and_changed_by_their_content() -> None:
    """Names tell what came and went, hashes what changed."""
    change = compare(listing(a="1", b="1", c="1"), listing(b="1", c="2", d="1"))
    assert (change.added, change.removed, change.changed) == (("d",), ("a",), ("c",))
    assert change.fresh


def test_the_same_listing_is_not_fresh_and_the_first_one_is() -> None:
    """Unchanged data makes no new run."""
    assert not compare(listing(a="1"), listing(a="1")).fresh
    assert compare(None, listing(a="1")).added == ("a",)
    assert compare(None, listing()).fresh


def test_what_the_workshop_refuses_is_told_in_words_also_where_logs_are_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message crosses the border between the processes as a message."""
    monkeypatch.setenv("VOXMILL_LOG", "json")
    recipe = tmp_path / "digits.yaml"
    recipe.write_text("title: A toy\nfamily: none\n")
    order = ListingOrder(
        recipe_file=recipe, folders={}, cache=tmp_path / "cache.json", out=tmp_path / "out.json"
    )
    with pytest.raises(UsageError) as refusal:
        list_in_workshop(order)
    assert "family: " in str(refusal.value)
    assert '"message"' not in str(refusal.value)


@pytest.mark.parametrize(
    ("resources", "variable", "asked"),
    [({"launcher": "docker"}, "", None), ({}, "docker", None), ({}, "", "docker")],
)
def test_a_source_is_listed_where_the_stages_of_its_recipe_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resources, variable, asked
) -> None:
    """In containers by recipe, variable or option: a worker without the workshop can list too."""
    monkeypatch.setenv("VOXMILL_LAUNCHER", variable)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    recipe = tmp_path / "digits.yaml"
    recipe.write_text("title: A toy\n")
    order = ListingOrder(
        recipe_file=recipe,
        folders={},
        cache=tmp_path / "cache.json",
        out=tmp_path / "out.json",
        resources=resources,
    )
    with pytest.raises(EngineMissing, match="No Docker engine answers"):
        list_source(order, launcher=asked)
    assert not list(tmp_path.glob("*listing-*"))


def test_a_source_is_listed_in_the_pod_s_other_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's image has no workshop there either; a refusal comes back in words."""
    monkeypatch.setenv("VOXMILL_POD", str(tmp_path / "pod"))
    monkeypatch.setenv("VOXMILL_LAUNCHER", "pod")
    command = [sys.executable, "-P", "-m", "voxmill.launchers.pod_keeper", str(tmp_path / "pod")]
    keeper = subprocess.Popen(command)
    recipe = tmp_path / "digits.yaml"
    recipe.write_text((REPOSITORY / "recipes" / "digits.yaml").read_text())
    order = ListingOrder(
        recipe_file=recipe, folders={}, cache=tmp_path / "cache.json", out=tmp_path / "out.json"
    )
    try:
        list_source(order)
        assert json.loads(order.out.read_text())["kind"] == "synthetic"
        recipe.write_text("title: A toy\nfamily: none\n")
        with pytest.raises(UsageError, match=r"(?s)Recipe digits: .*family: ") as refusal:
            list_source(order)
        assert '"message"' not in str(refusal.value)
    finally:
        keeper.terminate()
        keeper.wait(30)
