"""One worker at a time for each run."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from voxmill.errors import UsageError
from voxmill.runs.run import Run
from voxmill.runs.worker_lock import is_held, worker_lock


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / ".git").mkdir()
    return Run("digits", "a", tmp_path)


def test_another_worker_is_told_who_holds_the_run(run: Run) -> None:
    """Process id and since when; the same thread may enter twice."""
    said: list[str] = []

    def try_it() -> None:
        try:
            with worker_lock(run):
                pass
        except UsageError as error:
            said.append(str(error))

    with worker_lock(run), worker_lock(run):
        assert is_held(run)
        other = threading.Thread(target=try_it)
        other.start()
        other.join()
    assert f"process {os.getpid()}, since 20" in said[0]
    try_it()
    assert len(said) == 1


def test_the_lock_falls_with_its_holder(run: Run) -> None:
    """An error inside does not leave the run locked."""
    with pytest.raises(ZeroDivisionError), worker_lock(run):
        _ = 1 / 0
    assert not is_held(run)
