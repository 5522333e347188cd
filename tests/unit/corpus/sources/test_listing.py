"""Listings say what a source holds, and two of them what has changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.corpus.sources.listing import FileFacts, Listing, difference, hash_files
from voxmill.errors import DataError

FILES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.builds(FileFacts, bytes=st.integers(0, 9), sha256=st.sampled_from(["a" * 64, "b" * 64])),
    max_size=5,
)


@given(files=FILES)
def test_a_listing_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, FileFacts]
) -> None:
    """Written and read, it is the same, with one line for each file."""
    path = tmp_path_factory.mktemp("memory") / "source.json"
    listing = Listing.of("folder", files)
    path.write_text(listing.to_json(), encoding="utf-8")
    assert Listing.read(path) == listing
    assert json.loads(path.read_text(encoding="utf-8"))["digest"] == listing.digest
    lines = path.read_text(encoding="utf-8").split("\n")
    assert sum('"sha256": ' in line for line in lines) == len(files)


@given(one=FILES, other=FILES)
def test_digests_are_equal_exactly_for_equal_files(
    one: dict[str, FileFacts], other: dict[str, FileFacts]
) -> None:
    """Order of files does not matter, each fact does."""
    shuffled = dict(reversed(one.items()))
    assert Listing.of("folder", shuffled).digest == Listing.of("folder", one).digest
    same = Listing.of("folder", one).digest == Listing.of("folder", other).digest
    assert same == (one == other)


@given(listed=FILES, found=FILES)
def test_differences_are_complete(
    listed: dict[str, FileFacts], found: dict[str, FileFacts]
) -> None:
    """Taking back what was named leads from one to the other."""
    delta = difference(listed, found)
    assert bool(delta) == (listed != found)
    rebuilt = {path: facts for path, facts in listed.items() if path not in delta.removed}
    rebuilt |= {path: found[path] for path in (*delta.added, *delta.changed)}
    assert rebuilt == found


def test_a_difference_reads_like_a_sentence() -> None:
    """Counts, and a few examples."""
    a, b = (FileFacts(bytes=1, sha256=c * 64) for c in "ab")
    delta = difference({"x": a, "y": a, "z": a}, {"w": a, "x": b, "y": a}, but=["z"])
    assert str(delta) == "1 added, 0 removed, 1 changed, e.g. w, x"


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    """Size and time decide; the second look takes its hashes from the cache."""
    (tmp_path / "in").mkdir()
    file = tmp_path / "in/a.wav"
    file.write_bytes(b"one")
    cache = tmp_path / "cache.json"
    first = hash_files(tmp_path / "in", ["a.wav"], cache=cache)
    state = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert hash_files(tmp_path / "in", ["a.wav"], cache=cache) == first
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert hash_files(tmp_path / "in", ["a.wav"], cache=cache) != first
    cache.write_text("rubbish")
    assert hash_files(tmp_path / "in", ["a.wav"], cache=cache) == hash_files(
        tmp_path / "in", ["a.wav"]
    )


def test_no_listing_yet_is_none_and_rubbish_is_named(tmp_path: Path) -> None:
    """Before the first sync there is nothing to compare with."""
    path = tmp_path / "source.json"
    assert Listing.read(path) is None
    for nothing in ("", "{}\n"):
        path.write_text(nothing)
        assert Listing.read(path) is None
    path.write_text('{"kind": "folder"}')
    with pytest.raises(DataError, match=r"source\.json is not a listing.*voxmill sync"):
        Listing.read(path)
