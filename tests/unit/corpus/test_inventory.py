"""The inventory holds what the source had, byte for byte, and notices damage."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.corpus.inventory import Inventory, InventoryWriter
from voxmill.errors import DataError


def filled(folder: Path, files: dict[str, bytes], *, archive_bytes: int = 2**20) -> Path:
    with InventoryWriter(folder, archive_bytes=archive_bytes) as writer:
        for path in sorted(files):
            writer.add(path, files[path])
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@given(
    files=st.dictionaries(
        st.text("abcč-_ /", min_size=1, max_size=12).map(lambda name: f"f/{name}.x"),
        st.binary(max_size=40_000),
        max_size=6,
    ),
    archive_bytes=st.sampled_from([20_480, 60_000, 2**20]),
)
def test_every_file_comes_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], archive_bytes: int
) -> None:
    """Whatever the sizes, and however the archives are cut."""
    folder = filled(tmp_path_factory.mktemp("i") / "ingest", files, archive_bytes=archive_bytes)
    with Inventory(folder) as inventory:
        assert list(inventory.entries) == sorted(files)
        assert {path: inventory.read(path) for path in inventory.entries} == files
        assert list(inventory.verify()) == []


def test_a_person_can_open_the_archives(tmp_path: Path) -> None:
    """They are plain tar files with the source's own paths, nobody's name and no times."""
    folder = filled(tmp_path / "ingest", {"a/x.txt": b"one", "b.txt": b"two"})
    with tarfile.open(folder / "archives/00000.tar") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == ["a/x.txt", "b.txt"]
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}
        content = archive.extractfile("b.txt")
        assert content is not None
        assert content.read() == b"two"


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """From memory or from disk, today or tomorrow."""
    source = tmp_path / "b.txt"
    source.write_bytes(b"two")
    filled(tmp_path / "one", {"a.txt": b"one", "b.txt": b"two"})
    with InventoryWriter(tmp_path / "two") as writer:
        writer.add("a.txt", b"one")
        entry = writer.add("b.txt", source)
    assert entry.sha256 == hashlib.sha256(b"two").hexdigest()
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_archives_stay_below_their_limit(tmp_path: Path) -> None:
    """A new archive begins before the limit; only a single larger file may exceed it."""
    files = {f"{i:02d}": bytes(7000) for i in range(20)} | {"large": bytes(99_000)}
    folder = filled(tmp_path / "ingest", files, archive_bytes=50_000)
    sizes = [path.stat().st_size for path in sorted((folder / "archives").iterdir())]
    assert len(sizes) == 5
    assert max(sizes[:-1]) <= 50_000 < sizes[-1]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    """Reading checks the hash: damage never reaches training."""
    folder = filled(tmp_path / "ingest", {"a.wav": b"sound" * 100, "b.wav": b"other"})
    offset = Inventory(folder).entries["a.wav"].offset
    archive = folder / "archives/00000.tar"
    content = bytearray(archive.read_bytes())
    content[offset + 7] ^= 1
    archive.write_bytes(content)
    inventory = Inventory(folder)
    assert inventory.read("b.wav") == b"other"
    with pytest.raises(DataError, match=r"file a\.wav: expected sha256"):
        inventory.read("a.wav")
    assert len(list(inventory.verify())) == 1


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """An unknown path and a lost archive each say what to do."""
    folder = filled(tmp_path / "ingest", {"a.wav": b"sound"})
    with pytest.raises(DataError, match=r"has no file z\.wav"):
        Inventory(folder).read("z.wav")
    (folder / "archives/00000.tar").unlink()
    with pytest.raises(DataError, match=r"00000\.tar is missing.*dvc pull"):
        Inventory(folder).read("a.wav")


def test_paths_come_once_and_in_order(tmp_path: Path) -> None:
    """Order makes archives reproducible; a second file of one name would be lost."""
    with InventoryWriter(tmp_path / "ingest") as writer:
        writer.add("b", b"")
        for path in ("a", "b"):
            with pytest.raises(DataError, match="ascending order"):
                writer.add(path, b"")


def test_a_vanished_file_and_an_endless_name_are_data_errors(tmp_path: Path) -> None:
    """The source may change while it is copied; the message says so."""
    with InventoryWriter(tmp_path / "ingest") as writer:
        with pytest.raises(DataError, match="vanished while it was copied"):
            writer.add("a", tmp_path / "none")
        with pytest.raises(DataError, match="Shorten the names"):
            writer.add("b" * 300, b"x")


class RestlessStream(io.FileIO):
    """A file that another program writes to as soon as it is read."""

    def read(self, size: int = -1) -> bytes:
        os.truncate(self.name, self.new_size)
        return super().read(size)


class RestlessPath(type(Path())):
    """A path whose file changes its size between looking and reading."""

    def open(self, _mode: str) -> RestlessStream:
        stream = RestlessStream(str(self))
        stream.new_size = self.new_size
        return stream


@pytest.mark.parametrize(
    ("size", "words"), [(5000, "it grew beyond 1000 bytes"), (10, "it shrank to 10 of 1000 bytes")]
)
def test_a_file_that_changes_while_it_is_copied_is_refused(
    tmp_path: Path, size: int, words: str
) -> None:
    """Half of an old and half of a new recording would be neither."""
    (tmp_path / "a").write_bytes(bytes(1000))
    path = RestlessPath(tmp_path / "a")
    path.new_size = size
    with InventoryWriter(tmp_path / "ingest") as writer:
        with pytest.raises(DataError, match=words):
            writer.add("a", path)
        assert writer.entries == ()


def test_an_interrupted_inventory_has_no_index(tmp_path: Path) -> None:
    """What was not closed in peace cannot be taken for whole."""

    def stopped_halfway() -> None:
        with InventoryWriter(tmp_path / "ingest") as writer:
            writer.add("a", b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_halfway()
    with pytest.raises(DataError, match="is missing"):
        Inventory(tmp_path / "ingest")
