"""LibriSpeech: 1000 hours of read English from LibriVox, 2484 speakers, 16 kHz FLAC.

Panayotov, Chen, Povey, Khudanpur: Librispeech (ICASSP 2015). Licence CC BY 4.0.
https://www.openslr.org/12. Layout: SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac with one
SPEAKER-CHAPTER.trans.txt in each chapter, a line `ID TEXT` for each recording.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from voxmill.corpus.sources.archive import fetch, unpack
from voxmill.corpus.sources.config import LibriSpeechSource
from voxmill.corpus.sources.listing import Listing, hash_files
from voxmill.corpus.sources.pairs import Pair, Pairing
from voxmill.corpus.sources.source import Mirrored, Target, is_recording, recordings_and, rejected
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance
from voxmill.errors import DataError

_TRANSCRIPT_SUFFIX = ".trans.txt"
_CORPUS_FOLDER = "LibriSpeech"
_RECORDING_PARTS = 4
"""SUBSET, SPEAKER, CHAPTER, file."""

Found = Pair | RejectedUtterance


class LibriSpeech:
    """Source `librispeech`, from a folder."""

    def __init__(self, config: LibriSpeechSource, folder: Path, *, part: str) -> None:
        """Looks at nothing yet.

        Args:
            config: The recipe's `source` section.
            folder: Where `config.path` is on this machine.
            part: Name of the part that the utterances are of.
        """
        self._config = config
        inner = folder / _CORPUS_FOLDER
        self._folder = inner if inner.is_dir() else folder
        self._part = part

    def listing(self, *, cache: Path | None = None) -> Listing:
        """Hashes of all recordings and transcripts of the chosen subsets."""
        return Listing.of("librispeech", hash_files(self._folder, self._paths(), cache=cache))

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Copies the chosen subsets."""
        paths = self._paths()
        found = list(self._found(paths))
        pairing = Pairing(
            folder=self._folder,
            paths=tuple(paths),
            pairs=tuple(one for one in found if isinstance(one, Pair)),
            problems=tuple(one for one in found if isinstance(one, RejectedUtterance)),
        )
        return pairing.mirror(target, leave_out)

    def _paths(self) -> list[str]:
        """Everything of the chosen subsets, and the texts beside them (licence, speakers)."""
        every = recordings_and(self._folder, {".txt"}, what="LibriSpeech corpus")
        subsets = {path.split("/")[0] for path in every if _is_in_layout(path)}
        missing = sorted(set(self._config.subsets) - subsets)
        if missing or not subsets:
            raise DataError(
                f"LibriSpeech corpus {self._folder}: no subset {', '.join(missing) or 'at all'}; "
                f"found: {', '.join(sorted(subsets)) or 'none'}. Expected "
                "SUBSET/SPEAKER/CHAPTER/*.flac. Correct `source.path` or `source.subsets`."
            )
        chosen = set(self._config.subsets) or subsets
        return [path for path in every if path.split("/")[0] in chosen or "/" not in path]

    def _found(self, paths: list[str]) -> Iterator[Found]:
        texts: dict[str, str] = {}
        for path in paths:
            if path.endswith(_TRANSCRIPT_SUFFIX):
                texts.update(self._transcripts(path))
        recordings = [(PurePosixPath(path).stem, path) for path in paths if is_recording(path)]
        for identity, path in recordings:
            if not _is_in_layout(path):
                wanted = f"{path} is not SUBSET/SPEAKER/CHAPTER/*"
                yield rejected(identity, "name_not_understood", wanted)
            elif identity not in texts:
                detail = f"{path}: no line {identity} in its chapter's {_TRANSCRIPT_SUFFIX}"
                yield rejected(identity, "audio_without_transcript", detail)
            else:
                yield self._pair(identity, path, texts[identity])
        for identity in sorted(set(texts) - {stem for stem, _ in recordings}):
            detail = f"its chapter's {_TRANSCRIPT_SUFFIX} has the text, there is no recording"
            yield rejected(identity, "transcript_without_audio", detail)

    def _transcripts(self, path: str) -> Iterator[tuple[str, str]]:
        try:
            lines = (self._folder / path).read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"LibriSpeech transcript {self._folder / path} is not UTF-8: {error}. Restore it."
            ) from error
        for line in lines:
            identity, _, text = line.strip().partition(" ")
            if identity:
                yield identity, text.strip()

    def _pair(self, identity: str, path: str, text: str) -> Pair:
        subset, speaker = path.split("/")[:2]
        return Pair(
            utterance=SourceUtterance(
                id=identity,
                audio=path,
                text=text,
                speaker=speaker,
                subset=subset,
                part=self._part,
            ),
            files=frozenset({path}),
        )


class LibriSpeechArchive:
    """Source `librispeech`, from an archive that is downloaded and trusted by its hash."""

    def __init__(self, config: LibriSpeechSource, work: Path, *, part: str) -> None:
        """Downloads nothing yet.

        Args:
            config: The recipe's `source` section, with `url` and `sha256`.
            work: Folder for download and unpacked files.
            part: Name of the part that the utterances are of.
        """
        self._config = config
        self._work = work
        self._part = part

    def listing(self, *, cache: Path | None = None) -> Listing:
        """The archive's hash stands for its files; nothing is downloaded."""
        subsets = ",".join(sorted(self._config.subsets))
        return Listing.of("librispeech", {}, sha256=self._config.sha256, subsets=subsets)

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Downloads, checks, unpacks and copies; a checked download is kept for the next try."""
        url, sha256 = str(self._config.url), str(self._config.sha256)
        unpacked = self._work / f"unpacked-{sha256[:16]}"
        unpack(fetch(url, sha256, self._work), unpacked)
        try:
            source = LibriSpeech(self._config, unpacked, part=self._part)
            return source.mirror(target, leave_out=leave_out)
        finally:
            shutil.rmtree(unpacked)


def _is_in_layout(path: str) -> bool:
    return is_recording(path) and len(PurePosixPath(path).parts) == _RECORDING_PARTS
