"""Names of runs: what may be part of a branch name, and how a run is found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.errors import UsageError
from voxmill.runs.project import Project
from voxmill.runs.run import Run, RunRecord, check_id, find_run, list_runs, slug


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(
        root=tmp_path,
        home=tmp_path / "home",
        data=tmp_path,
        origin=str(tmp_path),
        remote=str(tmp_path / "remote"),
        main_branch="main",
    )


def add(project: Project, recipe: str, run_id: str, created: str) -> Run:
    folder = project.runs / recipe / run_id
    folder.mkdir(parents=True)
    RunRecord(
        recipe=recipe,
        id=run_id,
        airflow_run_id=None,
        base_commit="0" * 40,
        voxmill="0.1.0",
        created=created,
        user="me",
        dirty=("code.py",),
        overrides={"train.epochs": 3},
    ).write(folder)
    return Run(recipe, run_id, folder)


def test_names_follow_from_recipe_and_id() -> None:
    """One run has one job name and one branch."""
    run = Run("digits", "20261121-034512", Path("x"))
    assert (run.name, run.branch) == ("digits-20261121-034512", "run/digits/20261121-034512")


@pytest.mark.parametrize("wrong", ["", "Upper", "a_b", "a/b", "-a", "a-", "a b", "ä", "a.lock"])
def test_an_id_that_git_or_a_container_might_refuse_is_refused(wrong: str) -> None:
    """Small letters, digits and inner dashes only."""
    with pytest.raises(UsageError, match="only small letters"):
        check_id(wrong)


@given(st.text(min_size=1).filter(slug))
def test_a_slug_is_a_valid_id(text: str) -> None:
    """Whatever Airflow calls its run, a branch can be named after it."""
    assert check_id(slug(text)) == slug(text)


def test_airflow_run_ids_become_readable_ids() -> None:
    """A person recognises the Airflow run in the id."""
    assert slug("manual__2026-11-21T03:00:00+00:00") == "manual-2026-11-21t03-00-00-00-00"


def test_a_record_comes_back_as_it_was_written(project: Project) -> None:
    """run.json is read with the types that were written."""
    run = add(project, "digits", "a", "2026-11-21T00:00:00+00:00")
    record = RunRecord.read(run.folder)
    assert (record.dirty, record.overrides) == (("code.py",), {"train.epochs": 3})


def test_a_run_is_found_by_id_name_path_or_branch(project: Project) -> None:
    """Whatever a message or a listing showed can be pasted."""
    run = add(project, "digits", "a-1", "2026-11-21T00:00:00+00:00")
    for name in ("a-1", "digits/a-1", "digits-a-1", "run/digits/a-1"):
        assert find_run(project, name) == run


def test_an_ambiguous_or_unknown_name_lists_what_there_is(project: Project) -> None:
    """The message holds the names to choose from."""
    add(project, "digits", "a", "2026-11-21T00:00:00+00:00")
    add(project, "words", "a", "2026-11-21T00:00:01+00:00")
    with pytest.raises(UsageError, match=re.escape("one of several: digits/a, words/a")):
        find_run(project, "a")
    with pytest.raises(UsageError, match=re.escape("the newest there: digits/a, words/a")):
        find_run(project, "b")


def test_runs_are_listed_by_age_and_half_opened_ones_are_not(project: Project) -> None:
    """The newest comes last; a building site is no run."""
    add(project, "digits", "b", "2026-11-20T00:00:00+00:00")
    add(project, "digits", "a", "2026-11-21T00:00:00+00:00")
    add(project, "digits", ".c.opening-x", "2026-11-22T00:00:00+00:00")
    assert [run.id for run in list_runs(project)] == ["b", "a"]
    assert list_runs(project, "words") == []
