"""Looking at a source, over a real project: real git, real runs, toy stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from toys.toy_project import ToyProject, list_toy, make_project
from voxmill.errors import DataError, UsageError
from voxmill.orchestration.source_news import source_news
from voxmill.orchestration.worker import SourceNews
from voxmill.runs.newest import newest_run


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def look(toy: ToyProject) -> SourceNews:
    return source_news(toy.project, "digits", list_toy)


def test_content_is_news_until_a_run_was_opened_with_it(toy: ToyProject) -> None:
    """Rule: however often one looks before, and although memory has it since the first look."""
    first = look(toy)
    assert (first.added, first.newest_run, first.is_in_newest_run) == (3, "", False)
    second = look(toy)
    assert (second.added, second.is_in_newest_run) == (0, False)
    assert second.content == first.content
    run = toy.open("one")
    third = look(toy)
    assert (third.newest_run, third.is_in_newest_run) == (run.id, True)
    assert third.newest_run_began is not None


def test_changed_content_is_news_again(toy: ToyProject) -> None:
    """Rule: added, changed and removed files all count, and going back to an older state, too."""
    toy.open("one")
    before = look(toy)
    (toy.root / "recordings" / "3.wav").write_bytes(b"new")
    (toy.root / "recordings" / "0.wav").write_bytes(b"other")
    changed = look(toy)
    assert (changed.added, changed.changed, changed.removed) == (1, 1, 0)
    assert changed.content != before.content
    assert not changed.is_in_newest_run
    toy.open("two")
    assert look(toy).is_in_newest_run
    (toy.root / "recordings" / "3.wav").unlink()
    (toy.root / "recordings" / "0.wav").write_bytes(bytes(100))
    back = look(toy)
    assert back.content == before.content
    assert (back.newest_run, back.is_in_newest_run) == ("two", False)


def test_runs_with_another_source_do_not_count(toy: ToyProject) -> None:
    """Rule: a trial on fewer recordings says nothing about the recipe's source."""
    toy.open("one")
    toy.open("trial", overrides={"source.path": "fewer"})
    toy.open("other-values", overrides={"train.epochs": 1})
    newest = newest_run(toy.project, "digits")
    assert newest is not None
    assert newest.id == "other-values"
    assert look(toy).is_in_newest_run


def test_runs_of_other_machines_count(toy: ToyProject, tmp_path: Path) -> None:
    """Rule: the origin knows every run; what this machine lacks is fetched from there."""
    elsewhere = tmp_path / "elsewhere"
    toy.git("clone", "--quiet", str(toy.root), str(elsewhere))
    toy.git("clone", "--quiet", "--bare", str(toy.root), str(tmp_path / "origin.git"))
    (elsewhere / "recordings").symlink_to(toy.root / "recordings")
    environ = {"VOXMILL_GIT": str(tmp_path / "origin.git")}
    there = ToyProject(elsewhere, toy.control, environ)
    here = ToyProject(toy.root, toy.control, environ)
    run = there.open("there")
    newest = newest_run(here.project, "digits")
    assert newest is not None
    assert newest.id == run.id
    assert look(here).is_in_newest_run
    here.git("push", "--quiet", environ["VOXMILL_GIT"], f":refs/heads/{run.branch}")
    assert newest_run(here.project, "digits") is None


def test_a_source_that_is_gone_or_a_wrong_recipe_is_an_error_and_memory_stays(
    toy: ToyProject,
) -> None:
    """Rule: an absent source is no removed content."""
    look(toy)
    commit = toy.git("rev-parse", "main")
    (toy.root / "recordings").rename(toy.root / "elsewhere")
    with pytest.raises(DataError):
        look(toy)
    with pytest.raises(UsageError, match="no file"):
        source_news(toy.project, "nobody", list_toy)
    assert toy.git("rev-parse", "main") == commit
