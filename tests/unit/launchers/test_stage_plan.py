"""What a stage is started with: inputs, limits, folders, the number of its try."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fakes.launcher import FakeLauncher
from toys.checkout import RECIPE, finished_ingest, good, toy_checkout
from voxmill.errors import DataError, UsageError
from voxmill.launchers.stage_launch import launch_stage, plan_stage, stop_stage


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return toy_checkout(tmp_path)


def test_a_stage_gets_its_inputs_limits_and_folders_from_the_snapshot(checkout: Path) -> None:
    """Everything is absolute: a stage depends on no current folder."""
    finished_ingest(checkout)
    plan = plan_stage(checkout, "digits", "audit")
    assert plan.inputs == {
        "ingest": checkout / "artifacts" / "digits" / "ingest",
        "memory": checkout / "memory" / "digits",
    }
    assert (plan.run, plan.attempt) == ("digits-manual", 1)
    assert (plan.timeout_seconds, plan.grace_seconds) == (7200.0, 7.0)
    assert plan.out == checkout / "artifacts" / "digits" / "audit.partial"
    assert plan.work == checkout / "work" / "digits"


def test_a_recipe_s_resources_override_what_dvc_yaml_says(checkout: Path) -> None:
    """The recipe in this checkout counts, as edits travel with a run; null changes nothing."""
    finished_ingest(checkout)
    (checkout / "recipes" / "digits.yaml").write_text(
        RECIPE.replace("resources: {}", "resources: {timeout_hours: 0.5, gpus: null}")
    )
    plan = plan_stage(checkout, "digits", "audit")
    assert plan.timeout_seconds == 1800.0
    assert plan.resources["gpus"] == 0


def test_each_try_gets_a_number_that_none_had_before(checkout: Path) -> None:
    """Logs and journals are named after it."""
    finished_ingest(checkout)
    logs = checkout / "work" / "digits" / "logs"
    logs.mkdir(parents=True)
    for name in ("audit.2.log", "audit.10.log", "ingest.12.log"):
        (logs / name).touch()
    assert plan_stage(checkout, "digits", "audit").attempt == 11


def mixture(checkout: Path) -> None:
    (checkout / "recipes" / "digits.yaml").write_text(
        "source: {kind: mixture, parts: {real: {kind: folder, path: data/real}, "
        "made: {kind: synthetic}}}\n"
    )


def test_a_source_folder_is_looked_for_where_the_run_was_cloned_from(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A run's clone holds no data; relative paths mean the project's."""
    project = tmp_path_factory.mktemp("project")
    (project / "data" / "real").mkdir(parents=True)
    for arguments in (["init", "-q"], ["config", "voxmill.project", str(project)]):
        subprocess.run(["git", "-C", str(checkout), *arguments], check=True)
    mixture(checkout)
    inputs = plan_stage(checkout, "digits", "ingest").inputs
    assert inputs["source.real"] == project / "data" / "real"
    assert "source.made" not in inputs


def test_voxmill_data_comes_before_the_project(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same recipe serves machines that keep their data elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "data" / "real").mkdir(parents=True)
    monkeypatch.setenv("VOXMILL_DATA", str(elsewhere))
    mixture(checkout)
    plan = plan_stage(checkout, "digits", "ingest")
    assert plan.inputs["source.real"] == elsewhere / "data" / "real"


def test_a_missing_source_folder_is_told_with_its_key_and_where_it_was_looked_for(
    checkout: Path,
) -> None:
    """Exit code 65, before anything starts."""
    mixture(checkout)
    with pytest.raises(DataError, match=r"source\.parts\.real\.path: 'data/real' is not there"):
        launch_stage(checkout, "digits", "ingest", FakeLauncher(good))


def test_a_run_s_checkout_serves_no_other_recipe(checkout: Path) -> None:
    """Its branch may hold one recipe only."""
    (checkout / "run.json").write_text('{"recipe": "piper", "id": "first"}')
    with pytest.raises(UsageError, match="is run first of piper, not of digits"):
        plan_stage(checkout, "digits", "ingest")


def test_stopping_works_without_the_inputs(checkout: Path) -> None:
    """Whoever stops a stage in an emergency must not fail over a missing folder."""
    launcher = FakeLauncher(good)
    stop_stage(checkout, "digits", "audit", launcher)
    assert launcher.stops == [("audit", 7.0)]


@pytest.mark.parametrize(
    ("recipe", "stage", "words"),
    [("digit", "ingest", "No recipe 'digit'.*: digits"), ("digits", "trian", "No stage 'trian'")],
)
def test_unknown_names_are_refused_with_those_that_there_are(
    checkout: Path, recipe: str, stage: str, words: str
) -> None:
    """A typing mistake shows what was meant."""
    with pytest.raises(UsageError, match=words):
        plan_stage(checkout, recipe, stage)
