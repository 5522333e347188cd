"""Files that tell how far a run has come."""

from __future__ import annotations

from pathlib import Path

from voxmill.runs.state import (
    Pending,
    StageRecord,
    clear_pending,
    mark,
    next_attempt,
    read_pending,
    read_state,
    write_pending,
    write_record,
)


def test_records_keep_the_order_in_which_stages_began(tmp_path: Path) -> None:
    """The last one is what the run was at last."""
    assert read_state(tmp_path) == {}
    write_record(tmp_path, "train", StageRecord(outcome="started", attempt=1))
    write_record(tmp_path, "audit", StageRecord(outcome="restored"))
    mark(tmp_path, "train", outcome="executed", verdict="passed", seconds=1.5)
    state = read_state(tmp_path)
    assert list(state) == ["train", "audit"]
    assert state["train"] == StageRecord(
        outcome="executed", attempt=1, verdict="passed", seconds=1.5
    )


def test_tries_are_counted_over_workers(tmp_path: Path) -> None:
    """The journal of a later try wins over that of an earlier one, so numbers never repeat."""
    assert next_attempt(tmp_path, "train") == 1
    mark(tmp_path, "train", outcome="failed", attempt=3)
    assert next_attempt(tmp_path, "train") == 4
    assert next_attempt(tmp_path, "audit") == 1


def test_a_pending_note_is_there_until_it_is_cleared(tmp_path: Path) -> None:
    """It lies in .git, so that no commit can take it along."""
    note = Pending(stage="train", attempt=2, fingerprint={"cmd": "x", "deps": []})
    write_pending(tmp_path, note)
    assert read_pending(tmp_path, "train") == note
    assert read_pending(tmp_path, "audit") is None
    assert [path.name for path in tmp_path.iterdir()] == [".git"]
    clear_pending(tmp_path, "train")
    clear_pending(tmp_path, "train")
    assert read_pending(tmp_path, "train") is None
