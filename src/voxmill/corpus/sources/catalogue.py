"""The source that a recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voxmill.corpus.sources.config import (
    LibriSpeechSource,
    MixtureSource,
    OneSource,
    PairedFolder,
    SourceConfig,
    SyntheticSource,
)
from voxmill.corpus.sources.source import Source
from voxmill.corpus.utterance import ONLY_PART
from voxmill.errors import UsageError


def open_source(config: SourceConfig, folders: Mapping[str, Path], *, work: Path) -> Source:
    """The source of a recipe, which reads nothing before it is asked to.

    Args:
        config: The recipe's `source` section.
        folders: Folder of each path in it, by name of the stage input, see `source_paths`.
        work: Folder for downloads.

    Raises:
        UsageError: A folder that the source reads is not among `folders`.
    """
    if not isinstance(config, MixtureSource):
        return _one(config, folders, work, part=ONLY_PART, given="source")
    from voxmill.corpus.sources.mixture import Mixture

    return Mixture(
        {
            part: _one(one, folders, work / part, part=part, given=f"source.{part}")
            for part, one in config.parts.items()
        }
    )


def _one(
    config: OneSource, folders: Mapping[str, Path], work: Path, *, part: str, given: str
) -> Source:
    if isinstance(config, SyntheticSource):
        from voxmill.corpus.sources.synthetic import Synthetic

        return Synthetic(config, part=part)
    if isinstance(config, PairedFolder):
        from voxmill.corpus.sources.folder import Folder

        return Folder(config, _folder(folders, given), part=part)
    return _librispeech(config, folders, work, part=part, given=given)


def _librispeech(
    config: LibriSpeechSource, folders: Mapping[str, Path], work: Path, *, part: str, given: str
) -> Source:
    from voxmill.corpus.sources.librispeech import LibriSpeech, LibriSpeechArchive

    if config.url is not None:
        return LibriSpeechArchive(config, work, part=part)
    return LibriSpeech(config, _folder(folders, given), part=part)


def _folder(folders: Mapping[str, Path], name: str) -> Path:
    if name not in folders:
        found = ", ".join(sorted(folders)) or "none"
        raise UsageError(
            f"Source folder {name!r} is missing; folders given: {found}. Add --in {name}=DIR."
        )
    return folders[name]
