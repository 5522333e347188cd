"""Checkpoints are whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from voxmill.errors import DataError, EngineMissing
from voxmill.training.checkpoint import CheckpointStore, load_checkpoint


def state(number: int) -> dict:
    return {"learner": {"model": {"w": torch.full((50,), float(number))}}, "position": {"a": 1}}


def names(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_was_saved_comes_back_with_the_safe_loader(tmp_path):
    """Tensors and plain values, nothing that needs code to load."""
    store = CheckpointStore(tmp_path / "c", keep=3)
    saved = store.save(7, state(7))
    found = CheckpointStore(tmp_path / "c", keep=3).newest_valid()
    assert found.step == 7
    assert found.folder == saved.folder
    torch.testing.assert_close(found.state["learner"]["model"]["w"], torch.full((50,), 7.0))
    assert found.state["position"] == {"a": 1}


def test_the_last_ones_and_the_best_stay(tmp_path):
    """`keep` counts the last; the best stays besides, until another is best."""
    store = CheckpointStore(tmp_path, keep=2)
    for step in range(1, 6):
        store.save(step, state(step), best=step == 2)
    assert names(store) == [
        "best.json",
        "latest.json",
        "step-00000002",
        "step-00000004",
        "step-00000005",
    ]
    store.save(6, state(6), best=True)
    assert "step-00000002" not in names(store)
    assert json.loads((tmp_path / "best.json").read_text())["folder"] == "step-00000006"


@pytest.mark.parametrize("name", ["state.pt", "manifest.json"])
def test_a_flipped_byte_in_the_newest_falls_back_and_says_all(tmp_path, caplog, name):
    """The warning names the file, what was expected and found, and what is taken instead."""
    store = CheckpointStore(tmp_path, keep=3)
    store.save(1, state(1))
    newest = store.save(2, state(2)).folder
    expected = json.loads((newest / "manifest.json").read_text())["files"]["state.pt"]["sha256"]
    flip_a_byte(newest / name)
    found = store.newest_valid()
    assert found.step == 1
    assert "step-00000002" in caplog.text
    assert "going on from step-00000001 instead" in caplog.text
    if name == "state.pt":
        assert f"state.pt is damaged: expected sha256 {expected}, found " in caplog.text
    assert (tmp_path / "step-00000002.set-aside").is_dir()


@pytest.mark.parametrize("damage", ["truncated", "no state", "no manifest", "empty manifest"])
def test_whatever_is_missing_makes_a_checkpoint_invalid(tmp_path, damage):
    """No half checkpoint is ever loaded."""
    store = CheckpointStore(tmp_path, keep=3)
    folder = store.save(2, state(2)).folder
    if damage == "truncated":
        os.truncate(folder / "state.pt", 100)
    elif damage == "no state":
        (folder / "state.pt").unlink()
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"Checkpoint .*step-00000002"):
        load_checkpoint(folder)
    assert store.newest_valid() is None


def test_checkpoints_of_another_recipe_or_other_data_are_not_gone_on_from(tmp_path, caplog):
    """A changed learning rate or split starts anew, aloud, and the old ones are kept aside."""
    CheckpointStore(tmp_path, keep=3, identity="a" * 64).save(9, state(9))
    store = CheckpointStore(tmp_path, keep=3, identity="b" * 64)
    assert store.newest_valid() is None
    assert "another recipe or other data" in caplog.text
    assert "starting from the beginning" in caplog.text
    store.save(1, state(1))
    assert store.newest_valid().step == 1
    assert load_checkpoint(tmp_path / "step-00000009.set-aside").step == 9


def test_a_step_saved_again_replaces_its_earlier_checkpoint(tmp_path):
    """An interrupted evaluation is done again at the same step, with new loop state."""
    store = CheckpointStore(tmp_path, keep=3)
    store.save(4, state(1), best=True)
    store.save(4, state(2))
    assert names(store) == ["best.json", "latest.json", "step-00000004.1"]
    found = store.newest_valid()
    assert found.state["learner"]["model"]["w"][0] == 2.0
    assert json.loads((tmp_path / "best.json").read_text())["folder"] == found.folder.name


def test_what_a_killed_writer_left_is_removed_and_never_loaded(tmp_path):
    """A folder under its temporary name is no checkpoint."""
    store = CheckpointStore(tmp_path, keep=3)
    store.save(1, state(1))
    half = tmp_path / ".writing-step-00000002"
    half.mkdir()
    (half / "state.pt").write_bytes(b"half")
    assert CheckpointStore(tmp_path, keep=3).newest_valid().step == 1
    assert not half.exists()


def test_best_goes_back_with_the_state_and_is_nobodys_when_lost(tmp_path):
    """After a fall-back the best of the abandoned future is not released by mistake."""
    store = CheckpointStore(tmp_path, keep=5)
    store.save(1, state(1), best=True)
    store.save(2, state(2), best=True)
    assert store.forget_newer_best(1)
    assert store.best_step() == 1
    flip_a_byte(tmp_path / "step-00000001" / "state.pt")
    assert not store.forget_newer_best(1)
    assert store.best_step() is None


def test_an_export_is_a_verified_copy(tmp_path):
    """A damaged checkpoint is not handed on."""
    store = CheckpointStore(tmp_path / "c", keep=3)
    with pytest.raises(DataError, match="nothing was trained"):
        store.export("best", tmp_path / "best")
    folder = store.save(3, state(3), best=True).folder
    store.save(4, state(4))
    assert store.export("best", tmp_path / "best").step == 3
    assert store.export("latest", tmp_path / "last").step == 4
    assert load_checkpoint(tmp_path / "best").step == 3
    flip_a_byte(folder / "state.pt")
    with pytest.raises(DataError, match=r"state\.pt is damaged: expected sha256"):
        store.export("best", tmp_path / "again")


@contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own with so much room."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the small file system")
def test_a_full_disk_leaves_every_earlier_checkpoint_and_no_rest(tmp_path):
    """The error says what is full and what is intact; nothing half-written stays."""
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"):
        store = CheckpointStore(disk / "c", keep=3)
        store.save(1, state(1), best=True)
        before = names(store)
        with pytest.raises(EngineMissing) as caught:
            store.save(2, {"learner": {"model": {"w": torch.zeros(1_000_000)}}})
        assert caught.value.exit_code == 69
        for part in ("step 2", "No space left", "step-00000001 is intact", "Free some space"):
            assert part in str(caught.value)
        assert names(store) == before
        assert store.newest_valid().step == 1
        assert store.best_step() == 1
        store.save(2, state(2))
        assert store.newest_valid().step == 2
