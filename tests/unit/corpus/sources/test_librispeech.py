"""LibriSpeech's true layout, from a folder or from an archive."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from toys.corpora import mirrored, part_of_librispeech, reasons
from voxmill.corpus.sources.archive import UnreachableArchiveError
from voxmill.corpus.sources.config import LibriSpeechSource
from voxmill.corpus.sources.librispeech import LibriSpeech, LibriSpeechArchive
from voxmill.errors import DataError


def corpus(path: Path, **settings: object) -> LibriSpeech:
    config = LibriSpeechSource.model_validate({"kind": "librispeech", "path": "x", **settings})
    return LibriSpeech(config, path, part="source")


def archive(url: str, sha256: str, work: Path, **settings: object) -> LibriSpeechArchive:
    values = {"kind": "librispeech", "url": url, "sha256": sha256, **settings}
    return LibriSpeechArchive(LibriSpeechSource.model_validate(values), work, part="source")


def packed(folder: Path, target: Path) -> tuple[str, str]:
    with tarfile.open(target, "w:gz") as content:
        content.add(folder / "LibriSpeech", "LibriSpeech")
    return target.as_uri(), hashlib.sha256(target.read_bytes()).hexdigest()


def test_real_utterances_come_with_subset_and_speaker(shared: Path, tmp_path: Path) -> None:
    """Ids, texts, speakers and subsets are the corpus's own."""
    source = corpus(part_of_librispeech(shared, tmp_path / "in"))
    found, inventory = mirrored(source, tmp_path / "out")
    assert len(found.utterances) == 12
    assert found.problems == ()
    one = found.utterances[0]
    assert one.id.split("-")[0] == one.speaker
    assert one.text.isupper()
    assert one.audio.startswith(f"{one.subset}/{one.speaker}/")
    assert {one.subset for one in found.utterances} == {"train-clean-100", "test-other"}
    assert all(one.audio in inventory for one in found.utterances)
    assert "SPEAKERS.TXT" in inventory


def test_every_utterance_at_hand_is_paired(shared: Path) -> None:
    """The whole real part: 205 recordings and the texts of their chapters."""
    listing = corpus(shared / "data/librispeech-mini").listing()
    assert sum(path.endswith(".flac") for path in listing.files) == 205


def test_only_the_chosen_subsets_are_taken(shared: Path, tmp_path: Path) -> None:
    """The folder may be named with or without its `LibriSpeech`."""
    folder = part_of_librispeech(shared, tmp_path / "in")
    source = corpus(folder / "LibriSpeech", subsets=["test-other"])
    found, inventory = mirrored(source, tmp_path / "out")
    assert {one.subset for one in found.utterances} == {"test-other"}
    assert {path.split("/")[0] for path in inventory.entries} == {"test-other", "SPEAKERS.TXT"}


def test_a_subset_that_is_not_there_is_named(shared: Path, tmp_path: Path) -> None:
    """The message lists those that are."""
    source = corpus(part_of_librispeech(shared, tmp_path), subsets=["dev-clean"])
    with pytest.raises(DataError, match="no subset dev-clean; found: test-other, train-clean-100"):
        source.listing()


def test_strays_are_reported_both_ways(shared: Path, tmp_path: Path) -> None:
    """A deleted recording leaves its text behind; a deleted line leaves its recording."""
    folder = part_of_librispeech(shared, tmp_path / "in")
    transcripts = sorted(folder.rglob("*.trans.txt"))
    first, *others = transcripts[0].read_text().splitlines()
    transcripts[0].write_text("\n".join(others) + "\n")
    gone = next(iter(sorted(transcripts[1].parent.glob("*.flac"))))
    gone.unlink()
    found, _ = mirrored(corpus(folder), tmp_path / "out")
    assert reasons(found) == {
        first.split()[0]: "audio_without_transcript",
        gone.stem: "transcript_without_audio",
    }


def test_an_archive_gives_what_its_folder_gives(shared: Path, tmp_path: Path) -> None:
    """Downloaded, checked and unpacked: the same utterances, the same bytes."""
    folder = part_of_librispeech(shared, tmp_path / "in")
    url, sha256 = packed(folder, tmp_path / "corpus.tar.gz")
    settings = {"subsets": ["test-other"]}
    one, inventory = mirrored(archive(url, sha256, tmp_path / "work", **settings), tmp_path / "a")
    other, expected = mirrored(corpus(folder, **settings), tmp_path / "b")
    assert one == other
    assert inventory.entries == expected.entries
    assert [path.name for path in (tmp_path / "work").iterdir()] == [f"archive-{sha256[:16]}"]


def test_a_checked_download_is_used_again(shared: Path, tmp_path: Path) -> None:
    """A second try does not need the network; a damaged download is fetched anew."""
    folder = part_of_librispeech(shared, tmp_path / "in", chapters=1, each=1)
    url, sha256 = packed(folder, tmp_path / "corpus.tar.gz")
    first, _ = mirrored(archive(url, sha256, tmp_path / "work"), tmp_path / "a")
    (tmp_path / "corpus.tar.gz").rename(tmp_path / "away")
    again, _ = mirrored(archive(url, sha256, tmp_path / "work"), tmp_path / "b")
    assert again == first
    (tmp_path / "work" / f"archive-{sha256[:16]}").write_bytes(b"damaged")
    with pytest.raises(UnreachableArchiveError, match="Check the network"):
        mirrored(archive(url, sha256, tmp_path / "work"), tmp_path / "c")


def test_another_content_than_promised_is_refused(shared: Path, tmp_path: Path) -> None:
    """An archive is trusted by its hash, and nothing of a false one is unpacked or kept."""
    folder = part_of_librispeech(shared, tmp_path / "in", chapters=1, each=1)
    url, _ = packed(folder, tmp_path / "corpus.tar.gz")
    with pytest.raises(DataError, match=r"expected sha256 0000.*found"):
        mirrored(archive(url, "0" * 64, tmp_path / "work"), tmp_path / "out")
    assert list((tmp_path / "work").iterdir()) == []


def test_members_cannot_leave_the_folder(tmp_path: Path) -> None:
    """A member named ../escaped is refused and writes nothing."""
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as content:
        member = tarfile.TarInfo("../escaped")
        member.size = 4
        content.addfile(member, io.BytesIO(b"evil"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="cannot be unpacked"):
        mirrored(archive(path.as_uri(), sha256, tmp_path / "work"), tmp_path / "out")
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("content", [b"not a tar archive", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    """With the right hash, but not what it should be."""
    (tmp_path / "x.tar.gz").write_bytes(content)
    source = archive(
        (tmp_path / "x.tar.gz").as_uri(), hashlib.sha256(content).hexdigest(), tmp_path / "work"
    )
    with pytest.raises(DataError, match="cannot be unpacked"):
        mirrored(source, tmp_path / "out")


def test_addresses_of_other_kinds_are_refused(tmp_path: Path) -> None:
    """Only what is downloaded by plain HTTP or lies in a file."""
    with pytest.raises(DataError, match="expected an address of https"):
        mirrored(archive("ftp://x/y.tar.gz", "0" * 64, tmp_path / "work"), tmp_path / "out")


def test_an_archive_is_listed_by_its_hash_alone(tmp_path: Path) -> None:
    """Sync downloads nothing; another archive or other subsets are other data."""
    listings = [
        archive("https://example.org/a", "0" * 64, tmp_path).listing(),
        archive("https://example.org/a", "1" * 64, tmp_path).listing(),
        archive("https://example.org/a", "0" * 64, tmp_path, subsets=["x"]).listing(),
        archive("https://mirror.example.org/a", "0" * 64, tmp_path).listing(),
    ]
    assert len({one.digest for one in listings[:3]}) == 3
    assert listings[3] == listings[0]
    assert listings[0].files == {}
