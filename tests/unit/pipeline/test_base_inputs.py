"""Which folders ingest is given for the section `base`, and where they are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.launcher import FakeLauncher
from toys.checkout import RECIPE, good, toy_checkout
from voxmill.errors import DataError, UsageError
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.stage_launch import launch_stage, plan_stage
from voxmill.pipeline.base_inputs import base_inputs, init_place

COMMIT = "87c7102498dcde7456f24cfd30239ca606ed9063"


def inputs(folder: Path, **base: str) -> dict[str, Path]:
    return base_inputs({"base": base}, folder, folder / "work")


def place(folder: Path, init_from: str, **more: str) -> Path | None:
    sections = {"base": {"init_from": init_from, **more}}
    return init_place(sections, folder, Path("work"))


@pytest.mark.parametrize("sections", [{}, {"base": None}, {"base": {}}])
def test_a_recipe_without_a_base_has_no_such_inputs(tmp_path: Path, sections: dict) -> None:
    """Whether it leaves the section out, empty, or says nothing in it."""
    assert base_inputs(sections, tmp_path, tmp_path / "work") == {}


def test_a_hub_id_needs_no_folder_and_a_folder_is_mounted_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative ones start at VOXMILL_DATA, or at the project."""
    assert inputs(tmp_path, model="openai/whisper-tiny.en", revision=COMMIT) == {}
    for root in (tmp_path, tmp_path / "data"):
        (root / "openai" / "whisper").mkdir(parents=True)
    model = "./openai/whisper"
    assert inputs(tmp_path, model=model) == {"base": tmp_path / "openai/whisper"}
    assert inputs(tmp_path, model=str(tmp_path)) == {"base": tmp_path}
    monkeypatch.setenv("VOXMILL_DATA", str(tmp_path / "data"))
    assert inputs(tmp_path, model=model) == {"base": tmp_path / "data/openai/whisper"}


def test_a_folder_that_is_not_there_is_told_with_where_was_looked(tmp_path: Path) -> None:
    """A file of that name is no folder either."""
    (tmp_path / "a").touch()
    for model in ("./models", "a"):
        with pytest.raises(DataError, match=rf"base\.model: '{model}' .*{tmp_path}/"):
            inputs(tmp_path, model=model)


def test_every_origin_has_a_place_of_its_own(tmp_path: Path) -> None:
    """What was brought of one is never taken for another, whatever the names."""
    for name in ("a.pt", "b.pt", "t.json"):
        (tmp_path / name).touch()
    places = [
        place(tmp_path, "digits@v0.1.0"),
        place(tmp_path, "digits@v0.1.1"),
        place(tmp_path, "run:digits/v0"),
        place(tmp_path, "run:digits-a/b"),
        place(tmp_path, "run:digits/a-b"),
        place(tmp_path, "a.pt"),
        place(tmp_path, "b.pt"),
        place(tmp_path, "a.pt", init_tokenizer="t.json"),
    ]
    assert len(set(places)) == len(places)
    assert None not in places


def test_a_checkpoint_that_nobody_brought_is_a_usage_error(tmp_path: Path) -> None:
    """Only a worker can bring it out of git and DVC."""
    with pytest.raises(UsageError, match=r"digits@v0\.1\.0 is not in .* `voxmill launch`"):
        inputs(tmp_path, init_from="digits@v0.1.0")


def test_ingest_is_started_with_them_and_no_report_is_looked_for_in_them(tmp_path: Path) -> None:
    """They are no stage's output, so that no gate stands before them; other stages lack them."""
    checkout = toy_checkout(tmp_path)
    (checkout / "model").mkdir()
    (checkout / "work/digits/init/release/words/v1.0.0").mkdir(parents=True)
    sections = "base: {model: model, init_from: words@v1.0.0}\n"
    (checkout / "recipes" / "digits.yaml").write_text(RECIPE + sections)
    started: list[StageRun] = []

    def keep(run: StageRun) -> int:
        started.append(run)
        return good(run)

    launch_stage(checkout, "digits", "ingest", FakeLauncher(keep))
    assert sorted(started[0].inputs) == ["base", "init", "memory"]
    assert sorted(plan_stage(checkout, "digits", "audit").inputs) == ["ingest", "memory"]
