"""A folder of recordings whose transcripts are in file names, in sidecars or in one table.

Arrays of features are paired in the same way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from voxmill.corpus.sources.config import FeaturesSource, PairedFolder
from voxmill.corpus.sources.listing import Listing, hash_files
from voxmill.corpus.sources.pairs import Pair, Pairing
from voxmill.corpus.sources.source import (
    ARRAY_SUFFIXES,
    AUDIO_SUFFIXES,
    Mirrored,
    Target,
    is_recording,
    recordings_and,
    rejected,
)
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance
from voxmill.errors import DataError

TABLE = "metadata.csv"
_DOCUMENTS = frozenset({"readme", "license", "licence", "copying", "source", "changelog", "notice"})
"""Text files of these names tell about a corpus and transcribe nothing."""
_SIDECARS: Mapping[str, frozenset[str]] = {
    "name": frozenset(),
    "txt": frozenset({".txt"}),
    "csv": frozenset({".csv"}),
}

Found = Pair | RejectedUtterance


class Folder:
    """Sources `folder` and `features`."""

    def __init__(self, config: PairedFolder, folder: Path, *, part: str) -> None:
        """Looks at nothing yet.

        Args:
            config: The recipe's `source` section.
            folder: Where `config.path` is on this machine.
            part: Name of the part that the utterances are of.
        """
        self._config = config
        self._folder = folder
        self._part = part
        self._pattern = re.compile(f"(?:.*/)?(?:{config.pattern})")
        usual = type(config).model_fields["pattern"].default
        self._has_pattern = config.transcript == "name" or config.pattern != usual
        arrays = isinstance(config, FeaturesSource)
        self._suffixes = ARRAY_SUFFIXES if arrays else AUDIO_SUFFIXES

    def listing(self, *, cache: Path | None = None) -> Listing:
        """Hashes of all recordings and transcripts."""
        return Listing.of(self._config.kind, hash_files(self._folder, self._paths(), cache=cache))

    def mirror(self, target: Target, *, leave_out: Collection[str] = frozenset()) -> Mirrored:
        """Copies recordings and transcripts; pairs them by name."""
        paths = self._paths()
        find = {"name": self._by_name, "txt": self._by_sidecar, "csv": self._by_table}
        found = list(find[self._config.transcript](paths))
        pairing = Pairing(
            folder=self._folder,
            paths=tuple(paths),
            pairs=tuple(one for one in found if isinstance(one, Pair)),
            problems=tuple(one for one in found if isinstance(one, RejectedUtterance)),
        )
        return pairing.mirror(target, leave_out)

    def _paths(self) -> list[str]:
        found = recordings_and(
            self._folder,
            _SIDECARS[self._config.transcript],
            what=f"{self._config.kind} source",
            suffixes=self._suffixes,
        )
        if self._config.transcript == "csv":
            return [path for path in found if self._is_recording(path) or path == TABLE]
        return [path for path in found if PurePosixPath(path).stem.lower() not in _DOCUMENTS]

    def _by_name(self, paths: list[str]) -> Iterator[Found]:
        for path in paths:
            groups = self._groups(path)
            if groups.get("text") is None:
                wanted = f"{path} does not match the pattern {self._config.pattern}"
                yield rejected(_identity(path), "name_not_understood", wanted)
            else:
                yield self._pair(_identity(path), path, str(groups["text"]), {path})

    def _by_sidecar(self, paths: list[str]) -> Iterator[Found]:
        sidecars = {_identity(path): path for path in paths if not self._is_recording(path)}
        recordings = [path for path in paths if self._is_recording(path)]
        for path in recordings:
            identity = _identity(path)
            sidecar = sidecars.get(identity)
            if sidecar is None:
                detail = f"{path}: no {PurePosixPath(identity).name}.txt beside it"
                yield rejected(identity, "audio_without_transcript", detail)
                continue
            yield self._with_sidecar(identity, path, sidecar)
        for identity in sorted(set(sidecars) - {_identity(path) for path in recordings}):
            detail = f"{sidecars[identity]}: no recording beside it"
            yield rejected(identity, "transcript_without_audio", detail)

    def _with_sidecar(self, identity: str, path: str, sidecar: str) -> Found:
        try:
            text = (self._folder / sidecar).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            detail = f"{sidecar}: not UTF-8 ({error.reason} at byte {error.start})"
            return rejected(identity, "unreadable_transcript", detail)
        return self._pair(identity, path, text.strip(), {path, sidecar})

    def _by_table(self, paths: list[str]) -> Iterator[Found]:
        by_name = _by_every_name(path for path in paths if self._is_recording(path))
        told: dict[str, str] = {}
        for identity, text in _read_table(self._folder / TABLE):
            recordings = by_name.get(identity, [])
            yield self._of_line(identity, text, recordings, told)
            for path in recordings:
                told.setdefault(path, identity)
        for path in paths:
            if self._is_recording(path) and path not in told:
                detail = f"{path}: {TABLE} has no line for it"
                yield rejected(_identity(path), "audio_without_transcript", detail)

    def _of_line(
        self, identity: str, text: str, recordings: list[str], told: Mapping[str, str]
    ) -> Found:
        """What a line of the table says about the recordings that its id could mean."""
        if not recordings:
            detail = f"{TABLE} has its text, but there is no recording {identity}"
            return rejected(identity, "transcript_without_audio", detail)
        if len(recordings) > 1:
            detail = f"{TABLE} says {identity}, which could be {' or '.join(recordings)}"
            return rejected(identity, "name_not_understood", detail)
        [path] = recordings
        if path in told:
            detail = f"{TABLE} has two lines for {path}: {told[path]} and {identity}"
            return rejected(identity, "duplicate_id", detail)
        return self._pair(identity, path, text, {path})

    def _is_recording(self, path: str) -> bool:
        return is_recording(path, self._suffixes)

    def _groups(self, path: str) -> Mapping[str, str | None]:
        match = self._pattern.fullmatch(path) if self._has_pattern else None
        return match.groupdict() if match else {}

    def _pair(self, identity: str, path: str, text: str, files: set[str]) -> Pair:
        groups = self._groups(path)
        return Pair(
            utterance=SourceUtterance(
                id=identity,
                audio=path,
                text=self._config.spell.get(text, text),
                speaker=groups.get("speaker") or "unknown",
                subset=groups.get("subset") or "all",
                part=self._part,
            ),
            files=frozenset(files),
        )


def _identity(path: str) -> str:
    """The path without its suffix: stable as long as nobody renames the file."""
    return PurePosixPath(path).with_suffix("").as_posix()


def _by_every_name(paths: Iterator[str]) -> Mapping[str, list[str]]:
    """Recordings by whatever a table may call them: path or file name, with or without suffix."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        pure = PurePosixPath(path)
        for name in sorted({path, _identity(path), pure.name, pure.stem}):
            found[name].append(path)
    return found


def _read_table(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each line; the third column, where there is one, is the spoken form."""
    if not path.is_file():
        raise DataError(
            f"The folder source has no {TABLE} at {path}. Put it there, one `id|text` a line, or "
            "set `source.transcript` to `name` or `txt`."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error}. Save it as UTF-8.") from error
    for number, line in enumerate(lines, start=1):
        columns = [column.strip() for column in line.split("|")]
        if not line.strip():
            continue
        if len(columns) not in (2, 3):
            raise DataError(
                f"{path}, line {number}: expected `id|text` or `id|text|normalised text`, found "
                f"{len(columns)} columns: {line.strip()[:80]!r}. Correct the line."
            )
        yield columns[0], columns[-1] or columns[1]
