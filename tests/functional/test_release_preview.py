"""What a release would be, who approved it, and whose word a waiver is: real git, DVC and GTO."""

from __future__ import annotations

from pathlib import Path

import pytest

from toys.toy_project import ToyProject, git, make_project
from voxmill.errors import UsageError
from voxmill.pipeline.gates import read_waivers
from voxmill.runs.preview import preview
from voxmill.runs.release import release
from voxmill.runs.waiver import waive_all


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project whose run `one` has every stage; audit's check failed."""
    toy = make_project(tmp_path_factory.mktemp("preview"))
    toy.order("evaluate.failed")
    toy.run_all(toy.open("one"))
    return toy


def test_a_waiver_keeps_whose_word_it_is_and_is_given_once(toy: ToyProject) -> None:
    """Who and why stand in memory and in the commit; asking twice adds nothing."""
    run = toy.open("one")
    with pytest.raises(UsageError, match="no check"):
        waive_all(run, ["evaluate.quality", "evaluate.unknown"], "a trial")
    assert read_waivers(run.memory) == ()  # all or none
    for why in ("a trial", "another word"):
        assert waive_all(run, ["evaluate.quality"], why, who="ana (Airflow)") == (
            "evaluate.quality",
        )
    [waiver] = read_waivers(run.memory)
    assert (waiver.run, waiver.who, waiver.why) == ("one", "ana (Airflow)", "a trial")
    assert "Waived-by: ana (Airflow)" in git(run.folder, "log", "-1", "--format=%B")
    assert "a trial" in git(toy.root, "show", "main:memory/digits/waivers.jsonl")


def test_a_preview_says_what_the_release_then_does(toy: ToyProject) -> None:
    """Version and figures beforehand; the approval in the tag; afterwards, nothing left to do."""
    run = toy.open("one")
    before = preview(toy.project, run)
    assert (before.version, before.unchanged, before.champion) == ("v0.1.0", False, "")
    assert [waiver.check for waiver in before.waivers] == ["evaluate.quality"]
    assert git(toy.root, "tag", "--list") == ""

    made = release(toy.project, run, approved_by="ana (Airflow)")
    assert made.version == before.version
    assert made.figures == before.figures
    assert made.approved_by == "ana (Airflow)"
    tag = git(toy.root, "tag", "--list", "--format=%(contents)", made.tag)
    assert "Approved-by: ana (Airflow)" in tag
    again = release(toy.project, run, approved_by="somebody else")
    assert (again.fresh, again.approved_by) == (False, "ana (Airflow)")

    after = preview(toy.project, run)
    assert (after.version, after.unchanged, after.champion) == ("v0.1.0", True, "v0.1.0")


def test_a_preview_of_the_next_run_shows_the_champion_beside_it(toy: ToyProject) -> None:
    """The champion's figures come from its tag; the same outputs need no new version."""
    (Path(toy.control) / "evaluate.failed").unlink()
    run = toy.open("two", overrides={"evaluate.epochs": 7})
    toy.run_all(run)
    found = preview(toy.project, run)
    assert (found.version, found.unchanged, found.champion) == ("v0.1.1", False, "v0.1.0")
    assert found.champion_figures["sizes"] == {"onnx-fp32": 1000}
    assert found.waivers == ()
    assert release(toy.project, run).approved_by == ""
