"""Manifests are read and written line by line, and say where they are broken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toys.recordings import utterance
from voxmill.corpus.manifest import read_lines, write_json, write_lines
from voxmill.corpus.utterance import SourceUtterance
from voxmill.errors import DataError


@settings(deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    """Any text survives, line separators of Unicode included."""
    path = tmp_path_factory.mktemp("manifest") / "utterances.jsonl"
    written = [utterance(str(i), text=text) for i, text in enumerate(texts)]
    write_lines(path, written)
    assert read_lines(path, SourceUtterance) == written
    assert path.read_bytes().count(b"\n") == len(texts)


def test_two_that_write_one_file_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    """Two runs of one recipe, opened in the same second, keep one listing in the cache."""
    path = tmp_path / "listing.json"

    def write(writer: int) -> None:
        for _ in range(40):
            write_json(path, {str(writer): "x" * 5000})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert path.read_text().endswith('"\n}\n')
    assert [file.name for file in tmp_path.iterdir()] == ["listing.json"]


def test_keys_are_sorted_and_letters_readable(tmp_path: Path) -> None:
    """A manifest can be compared and read by people."""
    write_lines(tmp_path / "u.jsonl", [utterance("a", text="čaša")])
    assert (tmp_path / "u.jsonl").read_text(encoding="utf-8") == (
        '{"audio": "a.wav", "id": "a", "part": "source", "speaker": "ann", '
        '"subset": "all", "text": "čaša"}\n'
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "b", "audio": 7}', "audio"),
        ('{"id": "b"', "JSON"),
        ('{"id":"b","audio":"","text":"","speaker":"","subset":"","part":"","x":1}', "x"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    """The message has file, line number and field."""
    path = tmp_path / "u.jsonl"
    write_lines(path, [utterance("a")])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"u\.jsonl, line 2: expected a SourceUtterance") as caught:
        read_lines(path, SourceUtterance)
    assert words in str(caught.value)


def test_a_missing_or_binary_manifest_is_named(tmp_path: Path) -> None:
    """Neither ends in a traceback."""
    with pytest.raises(DataError, match="is missing"):
        read_lines(tmp_path / "none.jsonl", SourceUtterance)
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_lines(tmp_path / "binary.jsonl", SourceUtterance)


def test_an_error_in_the_middle_leaves_the_old_manifest(tmp_path: Path) -> None:
    """Readers never see half a file."""
    path = tmp_path / "u.jsonl"
    write_lines(path, [utterance("a")])
    with pytest.raises(ZeroDivisionError):
        write_lines(path, (utterance(str(1 // i)) for i in (1, 0)))
    assert [one.id for one in read_lines(path, SourceUtterance)] == ["a"]
