"""A folder's recordings find their transcripts in names, sidecars or a table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toys.corpora import mirrored, reasons
from toys.recordings import write_wav
from voxmill.corpus.reasons import REASONS
from voxmill.corpus.sources.config import FolderSource
from voxmill.corpus.sources.folder import Folder
from voxmill.errors import DataError

SPELL = {"0": "zero", "7": "seven"}


def folder(path: Path, **settings: object) -> Folder:
    config = FolderSource.model_validate({"kind": "folder", "path": "x", **settings})
    return Folder(config, path, part="source")


def test_the_spoken_digit_dataset_is_read_by_name(shared: Path, tmp_path: Path) -> None:
    """Real file names tell digit and speaker; the mirror holds the same bytes."""
    source = shared / "data/fsdd/recordings"
    names = ["0_george_0.wav", "7_jackson_12.wav", "7_george_3.wav"]
    (tmp_path / "fsdd").mkdir()
    for name in names:
        shutil.copyfile(source / name, tmp_path / "fsdd" / name)
    (tmp_path / "SOURCE.md").write_text("about")
    found, inventory = mirrored(folder(tmp_path, spell=SPELL), tmp_path / "out")
    assert [(one.id, one.text, one.speaker) for one in found.utterances] == [
        ("fsdd/0_george_0", "zero", "george"),
        ("fsdd/7_george_3", "seven", "george"),
        ("fsdd/7_jackson_12", "seven", "jackson"),
    ]
    assert found.problems == ()
    for name in names:
        assert inventory.read(f"fsdd/{name}") == (source / name).read_bytes()


def test_the_whole_spoken_digit_dataset_is_understood(shared: Path) -> None:
    """2000 recordings of four speakers are listed; the note beside them is no recording."""
    listing = folder(shared / "data/fsdd").listing()
    assert len(listing.files) == 2000


def test_a_pattern_takes_speaker_and_subset_from_folders(tmp_path: Path) -> None:
    """The pattern may begin at any folder."""
    write_wav(tmp_path / "in/clean/ann/yes-1.wav")
    pattern = r"(?P<subset>[^/]+)/(?P<speaker>[^/]+)/(?P<text>[a-z]+)-\d+\.wav"
    found, _ = mirrored(folder(tmp_path / "in", pattern=pattern), tmp_path / "out")
    [one] = found.utterances
    assert (one.id, one.text, one.speaker, one.subset) == (
        "clean/ann/yes-1",
        "yes",
        "ann",
        "clean",
    )


def test_a_name_that_does_not_match_is_reported(tmp_path: Path) -> None:
    """No recording is dropped in silence."""
    write_wav(tmp_path / "in/0_ann_1.wav")
    write_wav(tmp_path / "in/noise.wav")
    found, _ = mirrored(folder(tmp_path / "in"), tmp_path / "out")
    assert [one.id for one in found.utterances] == ["0_ann_1"]
    assert reasons(found) == {"noise": "name_not_understood"}


def test_sidecars_pair_and_strays_are_reported(tmp_path: Path) -> None:
    """A text without recording, a recording without text, and a text in another encoding."""
    for name in ("a", "b", "c"):
        write_wav(tmp_path / f"in/{name}.wav")
    for name, content in {"a": "čaša\n".encode(), "c": b"\xff\xfe", "d": b"lost"}.items():
        (tmp_path / f"in/{name}.txt").write_bytes(content)
    (tmp_path / "in/README.txt").write_text("about this corpus")
    found, inventory = mirrored(folder(tmp_path / "in", transcript="txt"), tmp_path / "out")
    assert [(one.id, one.text) for one in found.utterances] == [("a", "čaša")]
    assert reasons(found) == {
        "b": "audio_without_transcript",
        "c": "unreadable_transcript",
        "d": "transcript_without_audio",
    }
    assert set(reasons(found).values()) <= set(REASONS)
    assert "a.txt" in inventory


def test_ljspeech_is_read_from_its_table(shared: Path, tmp_path: Path) -> None:
    """The real metadata.csv: every clip at hand gets its normalised text."""
    source = shared / "data/ljspeech-mini"
    found, inventory = mirrored(folder(source, transcript="csv"), tmp_path / "out")
    texts = {one.id: one.text for one in found.utterances}
    assert texts["LJ001-0002"] == "in being comparatively modern."
    assert len(texts) == len(list((source / "wavs").glob("*.wav")))
    assert {one.speaker for one in found.utterances} == {"unknown"}
    assert "metadata.csv" in inventory


def test_a_table_and_its_recordings_are_compared_both_ways(tmp_path: Path) -> None:
    """Lines without recording, recordings without line, ids that could be two recordings."""
    for name in ("x/a", "b", "x/c", "y/c"):
        write_wav(tmp_path / f"in/{name}.wav")
    (tmp_path / "in/metadata.csv").write_text(
        "a|Eins|one\nc|two\nd|three\na|again\nx/a|once more\n"
    )
    found, _ = mirrored(folder(tmp_path / "in", transcript="csv"), tmp_path / "out")
    assert [(one.id, one.text) for one in found.utterances] == [("a", "one")]
    assert reasons(found) == {
        "a": "duplicate_id",
        "b": "audio_without_transcript",
        "c": "name_not_understood",
        "d": "transcript_without_audio",
        "x/a": "duplicate_id",
    }


@pytest.mark.parametrize("content", [b"a only an id\n", b"a|b|c|d\n"])
def test_a_broken_table_names_its_line(tmp_path: Path, content: bytes) -> None:
    """The message has file and line number."""
    write_wav(tmp_path / "in/a.wav")
    (tmp_path / "in/metadata.csv").write_bytes(b"a|one\n" + content)
    with pytest.raises(DataError, match=r"metadata\.csv, line 2: expected `id\|text`"):
        mirrored(folder(tmp_path / "in", transcript="csv"), tmp_path / "out")


def test_a_missing_table_says_how_to_go_on(tmp_path: Path) -> None:
    """The other ways to give transcripts are named."""
    write_wav(tmp_path / "in/a.wav")
    with pytest.raises(DataError, match=r"no metadata\.csv.*`source.transcript`"):
        mirrored(folder(tmp_path / "in", transcript="csv"), tmp_path / "out")


def test_two_formats_of_one_recording_are_one_utterance(tmp_path: Path) -> None:
    """An id names one utterance; the other file is reported."""
    write_wav(tmp_path / "in/0_ann_1.wav")
    shutil.copyfile(tmp_path / "in/0_ann_1.wav", tmp_path / "in/0_ann_1.flac")
    pattern = r"(?P<text>\d)_(?P<speaker>[^_]+)_\d\.\w+"
    found, _ = mirrored(folder(tmp_path / "in", pattern=pattern), tmp_path / "out")
    assert [one.audio for one in found.utterances] == ["0_ann_1.flac"]
    assert reasons(found) == {"0_ann_1": "duplicate_id"}


@pytest.mark.parametrize("how", ["missing", "empty", "only texts"])
def test_a_source_without_recordings_says_what_to_correct(tmp_path: Path, how: str) -> None:
    """Listing and mirroring end in the same message."""
    if how != "missing":
        (tmp_path / "in").mkdir()
    if how == "only texts":
        (tmp_path / "in/a.txt").write_text("one")
    source = folder(tmp_path / "in", transcript="txt")
    with pytest.raises(DataError, match=r"Correct `source\.path`"):
        source.listing()
    with pytest.raises(DataError, match=r"Correct `source\.path`"):
        mirrored(source, tmp_path / "out")


def test_removed_utterances_leave_neither_sound_nor_text(tmp_path: Path) -> None:
    """Of a tombstoned id no file of its own is mirrored, and no problem is reported."""
    for name in ("a", "b"):
        write_wav(tmp_path / f"in/{name}.wav")
        (tmp_path / f"in/{name}.txt").write_text(name)
    (tmp_path / "in/c.txt").write_text("its recording is deleted already")
    source = folder(tmp_path / "in", transcript="txt")
    found, inventory = mirrored(source, tmp_path / "out", leave_out={"b", "c", "none"})
    assert [one.id for one in found.utterances] == ["a"]
    assert found.problems == ()
    assert found.left_out == {"b.wav", "b.txt"}
    assert list(inventory.entries) == ["a.txt", "a.wav", "c.txt"]


def test_hidden_files_and_loops_of_links_are_passed_over(tmp_path: Path) -> None:
    """What an editor or a file manager leaves is no data; a link back up ends nowhere."""
    write_wav(tmp_path / "in/0_ann_1.wav")
    write_wav(tmp_path / "in/.trash/1_ann_1.wav")
    write_wav(tmp_path / "in/._0_ann_1.wav")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in", target_is_directory=True)
    assert list(folder(tmp_path / "in").listing().files) == ["0_ann_1.wav"]
