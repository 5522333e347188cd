"""A mixture keeps its parts apart by id and path, and asks each for what it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from toys.corpora import digits, mirrored
from toys.recordings import write_wav
from voxmill.corpus.sources.catalogue import open_source
from voxmill.corpus.sources.config import (
    FolderSource,
    LibriSpeechSource,
    MixtureSource,
    SyntheticSource,
    source_paths,
)
from voxmill.corpus.sources.folder import Folder
from voxmill.corpus.sources.librispeech import LibriSpeech, LibriSpeechArchive
from voxmill.corpus.sources.source import Source
from voxmill.corpus.sources.synthetic import Synthetic
from voxmill.errors import UsageError

MIXTURE = MixtureSource(
    kind="mixture",
    parts={
        "real-b": FolderSource(kind="folder", path="b"),
        "real": FolderSource(kind="folder", path="a"),
        "made": SyntheticSource(kind="synthetic", utterances=2, voices=1),
    },
)


def opened(tmp_path: Path) -> Source:
    digits(tmp_path / "a", speakers=1, takes=1, words="01")
    write_wav(tmp_path / "b/0_s0_0.wav")
    write_wav(tmp_path / "b/stray.wav")
    folders = {"source.real": tmp_path / "a", "source.real-b": tmp_path / "b"}
    return open_source(MIXTURE, folders, work=tmp_path / "work")


def test_parts_stay_apart(tmp_path: Path) -> None:
    """The same file name in two parts is two utterances; a speaker's name is one person."""
    found, inventory = mirrored(opened(tmp_path), tmp_path / "out")
    assert [(one.id, one.part) for one in found.utterances] == [
        ("made/voice000-000000", "made"),
        ("made/voice000-000001", "made"),
        ("real-b/0_s0_0", "real-b"),
        ("real/recordings/0_s0_0", "real"),
        ("real/recordings/1_s0_0", "real"),
    ]
    assert {one.speaker for one in found.utterances if one.part != "made"} == {"s0"}
    assert [one.id for one in found.problems] == ["real-b/stray"]
    assert all(one.audio in inventory for one in found.utterances)


def test_removed_utterances_are_left_out_of_their_part_only(tmp_path: Path) -> None:
    """The id says the part."""
    gone = {"real-b/0_s0_0", "made/voice000-000001", "recordings/1_s0_0"}
    found, _ = mirrored(opened(tmp_path), tmp_path / "out", leave_out=gone)
    assert len(found.utterances) == 3
    assert found.left_out == {"real-b/0_s0_0.wav", "made/voice000/voice000-000001.wav"}


def test_the_listing_has_what_the_mirror_has(tmp_path: Path) -> None:
    """Files of folders by hash, and made ones by their settings."""
    source = opened(tmp_path)
    listing = source.listing(cache=tmp_path / "cache.json")
    _, inventory = mirrored(source, tmp_path / "out")
    hashes = {p: e.sha256 for p, e in inventory.entries.items() if not p.startswith("made/")}
    assert {path: facts.sha256 for path, facts in listing.files.items()} == hashes
    assert source.listing(cache=tmp_path / "cache.json") == listing
    write_wav(tmp_path / "b/1_s0_0.wav")
    assert source.listing(cache=tmp_path / "cache.json").digest != listing.digest


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (SyntheticSource(kind="synthetic"), Synthetic),
        (FolderSource(kind="folder", path="x"), Folder),
        (LibriSpeechSource(kind="librispeech", path="x"), LibriSpeech),
        (
            LibriSpeechSource(kind="librispeech", url="https://x.org/a", sha256="0" * 64),
            LibriSpeechArchive,
        ),
    ],
)
def test_the_catalogue_opens_every_kind(
    config: SyntheticSource, kind: type, tmp_path: Path
) -> None:
    """A source is found by its section, with nothing read yet."""
    folders = dict.fromkeys(source_paths(config), tmp_path / "nowhere")
    assert isinstance(open_source(config, folders, work=tmp_path), kind)


def test_a_folder_that_was_not_given_is_named(tmp_path: Path) -> None:
    """The message says which input the stage command lacks."""
    assert source_paths(MIXTURE) == {"source.real": "a", "source.real-b": "b"}
    with pytest.raises(UsageError, match=r"--in source\.real=DIR"):
        open_source(MIXTURE, {"source.real-b": tmp_path}, work=tmp_path)
