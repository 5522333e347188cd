"""Lineage is read from reports, and tells nothing that they do not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from toys.evaluation_inputs import ToyUtterance, write_inputs
from voxmill.errors import DataError
from voxmill.stages.evaluation.lineage import read_origins


def test_each_report_gives_its_hash_commit_and_versions(tmp_path: Path):
    """The hash is that of the file as it lies there."""
    inputs = write_inputs(tmp_path, [ToyUtterance(id="a", text="a", samples=8)])
    origins = read_origins(inputs)
    assert [origin.stage for origin in origins] == ["prepare", "package", "train"]
    content = (inputs["package"] / "report.json").read_bytes()
    assert origins[1].sha256 == hashlib.sha256(content).hexdigest()
    assert origins[1].git_commit.startswith("c0ffee")
    assert origins[1].versions == {"voxmill": "0.1.0", "python": "3.11"}
    assert origins[1].inputs == {"before": "ab" * 32}


def test_a_folder_without_report_is_passed_over(tmp_path: Path):
    """A stage function called by hand leaves none."""
    assert read_origins({"prepare": tmp_path}) == ()


@pytest.mark.parametrize("content", ["{", "[]", "3"])
def test_a_broken_report_is_a_data_error(tmp_path: Path, content: str):
    """It is better to stop than to release without lineage."""
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(DataError, match="Run package again"):
        read_origins({"package": tmp_path})


def test_a_sparse_report_is_enough(tmp_path: Path):
    """Fields that are not there stay empty."""
    (tmp_path / "report.json").write_text("{}")
    (origin,) = read_origins({"train": tmp_path})
    assert (origin.verdict, origin.git_commit, origin.started) == ("unknown", "", None)
