"""report.json is there wholly or not at all, and its hashes stand for the files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from voxmill.errors import DataError
from voxmill.pipeline.report import check_output
from voxmill.stages.report import (
    StageReport,
    input_digest,
    output_files,
    read_report,
    write_report,
)

REPORT = StageReport(stage="audit", recipe="digits", version=1, verdict="passed")


def test_a_report_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """Keys are sorted, so that two reports compare line by line."""
    write_report(tmp_path, REPORT)
    assert read_report(tmp_path) == REPORT
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text.endswith("}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_write_that_fails_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody ever sees half a report."""
    write_report(tmp_path, REPORT)

    def fail(_descriptor: int) -> None:
        raise OSError("gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="gone"):
        write_report(tmp_path, REPORT.model_copy(update={"verdict": "failed"}))
    monkeypatch.undo()
    assert read_report(tmp_path) == REPORT
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "audit"}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file and says what to do."""
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"report\.json is not a stage report.*Run the stage again"):
        read_report(tmp_path)


def test_no_report_means_not_finished(tmp_path: Path) -> None:
    """A folder without one is the output of a stage that died."""
    with pytest.raises(DataError, match="has not finished"):
        read_report(tmp_path)


def test_the_office_understands_the_workshop_s_report(tmp_path: Path) -> None:
    """Both wings have a model of their own: what one writes, the other takes."""
    (tmp_path / "a.txt").write_text("abc", encoding="utf-8")
    write_report(tmp_path, REPORT.model_copy(update={"outputs": output_files(tmp_path)}))
    assert check_output(tmp_path, recipe="digits", stage="audit").verdict == "passed"
    (tmp_path / "a.txt").write_text("abcd", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.txt has 4 bytes"):
        check_output(tmp_path, recipe="digits", stage="audit")


def test_an_input_changes_its_digest_with_its_content(tmp_path: Path) -> None:
    """Contents count for memory; for the source, which may be huge, paths and sizes."""
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "splits.jsonl"
    file.write_text("one", encoding="utf-8")
    memory, source = input_digest("memory", tmp_path), input_digest("source", tmp_path)
    file.write_text("two", encoding="utf-8")
    assert input_digest("memory", tmp_path) != memory
    assert input_digest("source", tmp_path) == source
    file.write_text("three", encoding="utf-8")
    assert input_digest("source", tmp_path) != source
    before = input_digest("source.part", tmp_path)
    file.rename(tmp_path / "other.jsonl")
    assert input_digest("source.part", tmp_path) != before
