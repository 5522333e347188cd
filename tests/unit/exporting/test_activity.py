"""Whether a stage that leaves no process to look at, as in a container, goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voxmill.exporting.activity import SILENT_SECONDS, job_goes_on
from voxmill.launchers.jobs import JobFiles
from voxmill.runs.state import StageRecord

NOW = 1_800_000_000.0
LONGEST_ALLOWED_SILENCE = 1800
"""Seconds: what TrainingStalled waits for before the first evaluation, see recording.yml."""
STARTED = StageRecord(outcome="started", attempt=1)


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    files = JobFiles(tmp_path, "train")
    journal = tmp_path / "journal" / "1.jsonl"
    for path in (files.log(1), journal):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return files


def goes_on(files: JobFiles, *, silent_seconds: float) -> bool:
    for path in (files.log(1), files.folder.parent / "journal" / "1.jsonl"):
        os.utime(path, (NOW - silent_seconds,) * 2)
    return job_goes_on(files, STARTED, None, now=NOW)


def test_a_hanging_container_goes_on_for_longer_than_its_alert_waits(files: JobFiles) -> None:
    """An exporter in a container sees no locks: what it called stopped would never stall."""
    until_it_fires = 300
    assert goes_on(files, silent_seconds=LONGEST_ALLOWED_SILENCE + until_it_fires)
    assert not goes_on(files, silent_seconds=SILENT_SECONDS + 1)


def test_one_of_two_files_that_grows_is_enough(files: JobFiles) -> None:
    """A training logs twice a minute and writes its journal at each step; other stages only log."""
    assert goes_on(files, silent_seconds=SILENT_SECONDS - 1)
    os.utime(files.log(1), (0, 0))
    assert job_goes_on(files, STARTED, None, now=NOW)
    os.utime(files.folder.parent / "journal" / "1.jsonl", (0, 0))
    assert not job_goes_on(files, STARTED, None, now=NOW)
