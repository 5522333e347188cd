"""Small corpora on disk, in the layouts that sources read."""

from __future__ import annotations

import shutil
from pathlib import Path

from toys.recordings import write_wav
from voxmill.corpus.inventory import Inventory, InventoryWriter
from voxmill.corpus.sources.source import Mirrored, Source


def digits(folder: Path, *, speakers: int = 4, takes: int = 2, words: str = "01234") -> Path:
    """Tones named DIGIT_SPEAKER_TAKE.wav, all different."""
    for speaker in range(speakers):
        for take in range(takes):
            for digit in words:
                hz = 200.0 + 50 * speaker + 7 * take + 3 * int(digit)
                name = f"{digit}_s{speaker}_{take}.wav"
                write_wav(folder / "recordings" / name, hz=hz, seconds=0.4)
    return folder


def part_of_librispeech(shared: Path, folder: Path, *, chapters: int = 2, each: int = 3) -> Path:
    """A writable copy of a few real utterances of each subset, with their transcripts."""
    source = shared / "data/librispeech-mini/LibriSpeech"
    target = folder / "LibriSpeech"
    for subset in ("train-clean-100", "test-other"):
        for transcript in sorted((source / subset).rglob("*.trans.txt"))[:chapters]:
            chapter = transcript.parent
            copy = target / chapter.relative_to(source)
            copy.mkdir(parents=True)
            lines = transcript.read_text(encoding="utf-8").splitlines()[:each]
            (copy / transcript.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
            for line in lines:
                recording = f"{line.split(' ')[0]}.flac"
                shutil.copyfile(chapter / recording, copy / recording)
    shutil.copyfile(source / "SPEAKERS.TXT", target / "SPEAKERS.TXT")
    return folder


def mirrored(source: Source, folder: Path, **options: object) -> tuple[Mirrored, Inventory]:
    """What a source puts into an inventory, and the inventory."""
    with InventoryWriter(folder) as writer:
        found = source.mirror(writer, **options)
    return found, Inventory(folder)


def reasons(found: Mirrored) -> dict[str, str]:
    """Reason by id of what could not be paired."""
    return {one.id: one.reason for one in found.problems}
