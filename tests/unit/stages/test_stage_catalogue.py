"""Every catalogued stage keeps the contract, and dvc.yaml says the same as the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from voxmill.errors import EngineMissing, UsageError
from voxmill.observability import catalogue as metrics
from voxmill.stages import catalogue
from voxmill.stages.catalogue import STAGE_SECTIONS, STAGE_VERSIONS, STAGES, load_stage

DVC = Path(__file__).resolve().parents[3] / "dvc.yaml"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_knows_its_own_name_and_version(name: str) -> None:
    """The version that DVC watches is the version of the code that runs."""
    stage = load_stage(name)
    assert stage.name == name
    assert stage.version == STAGE_VERSIONS[name]


def test_every_stage_is_in_every_list_in_the_same_order() -> None:
    """Names of stages stand in several places; they agree."""
    graph = yaml.safe_load(DVC.read_text("utf-8"))["stages"]
    assert list(STAGES) == list(STAGE_VERSIONS) == list(STAGE_SECTIONS) == list(graph)
    assert list(STAGES) == list(metrics.STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_reports_as_its_config_is_what_dvc_watches(name: str) -> None:
    """A part of the recipe that is read but not watched would give stale results."""
    params = yaml.safe_load(DVC.read_text("utf-8"))["stages"][name]["params"]
    (watched,) = (keys for one in params for file, keys in one.items() if "recipes/" in file)
    assert set(watched) == set(STAGE_SECTIONS[name])


def test_an_unknown_stage_names_the_nearest() -> None:
    """A slip of the finger is put right."""
    with pytest.raises(UsageError, match=r"No stage 'trian'.* Did you mean train\?"):
        load_stage("trian")


def test_a_missing_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the office's own image there is no torch; a bug in our imports stays a bug."""
    (tmp_path / "stage_without.py").write_text("import torch_that_is_not_there\n", "utf-8")
    (tmp_path / "stage_broken.py").write_text("import voxmill.nothing\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    places = {"one": "stage_without:Stage", "two": "stage_broken:Stage"}
    monkeypatch.setattr(catalogue, "STAGES", places)
    with pytest.raises(EngineMissing, match=r"torch_that_is_not_there is not installed.*workshop"):
        load_stage("one")
    with pytest.raises(ModuleNotFoundError):
        load_stage("two")
