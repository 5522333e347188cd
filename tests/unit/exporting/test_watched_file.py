"""Files that are read again and again: a fault that lasts is told from a slip."""

from __future__ import annotations

from voxmill.exporting.watched_file import Faults, WatchedFile


def test_a_file_that_stays_broken_counts_at_each_look_and_no_longer_once_it_is_mended(tmp_path):
    """The alert ExporterBlind asks for faults that go on."""
    faults = Faults()
    path = tmp_path / "number"
    watched = WatchedFile(path, int, "run", faults)
    path.write_text("12")
    assert watched.value() == 12
    path.write_text("twelve")
    assert [watched.value() for _ in range(3)] == [12, 12, 12]
    assert faults.counts == {"run": 3}
    path.write_text("13")
    assert [watched.value() for _ in range(3)] == [13, 13, 13]
    assert faults.counts == {"run": 3}


def test_a_file_that_goes_is_no_fault(tmp_path):
    """Runs may be deleted while they are looked at."""
    faults = Faults()
    path = tmp_path / "number"
    watched = WatchedFile(path, int, "run", faults)
    path.write_text("x")
    assert watched.value() is None
    path.unlink()
    assert watched.value() is None
    assert faults.counts == {"run": 1}
