"""The `source` section: where recordings and transcripts come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from voxmill.section import Conflict, Section

NAME_PATTERN = r"(?P<text>[^_/]+)_(?P<speaker>[^_/]+)_[^/]*\.wav"
"""TEXT_SPEAKER_anything.wav, as the Free Spoken Digit Dataset names its files."""

ARRAY_PATTERN = NAME_PATTERN.replace("wav", "npy")
"""The same of arrays."""

PartName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class SyntheticSource(Section):
    """Spoken digits from espeak-ng in many voices, speeds and pitches; one seed, one data set."""

    kind: Literal["synthetic"]
    utterances: int = Field(default=3000, ge=1)
    """How many recordings to make."""
    voices: int = Field(default=60, ge=1, le=400)
    """How many speakers: language accent, voice variant and pitch drawn together."""
    min_words: int = Field(default=1, ge=1)
    """Fewest digits in one utterance."""
    max_words: int = Field(default=7, ge=1)
    """Most digits in one utterance."""
    min_words_per_minute: int = Field(default=110, ge=80)
    """Slowest speech."""
    max_words_per_minute: int = Field(default=240, le=450)
    """Fastest speech."""
    seed: int = Field(default=1, ge=0)
    """Another seed speaks another data set."""

    def conflicts(self) -> Iterator[Conflict]:
        """Ranges run upwards."""
        for unit in ("words", "words_per_minute"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low > high:
                allowed = f"at most max_{unit} ({high})"
                yield Conflict(f"min_{unit}", str(low), allowed, others=(f"max_{unit}",))


class PairedFolder(Section):
    """A folder of files with the transcript in the file name or in a sidecar."""

    kind: str
    path: str
    """Folder; relative ones start at the project (or at VOXMILL_DATA)."""
    pattern: str = NAME_PATTERN
    """Regular expression over the end of the relative path, beginning at any folder or file name;
    groups `text`, `speaker`, `subset` are taken. With `txt` or `csv` the default names nobody."""
    transcript: Literal["name", "txt", "csv"] = "name"
    """`name`: group `text` of the pattern; `txt`: a .txt beside each recording; `csv`: one
    metadata.csv, `id|text` or `id|text|normalised text` a line as LJSpeech has it."""
    spell: dict[str, str] = Field(default_factory=dict)
    """Transcripts to write out, such as `"0": zero`; others stay as they are."""

    def conflicts(self) -> Iterator[Conflict]:
        """The pattern gives the transcript where it is asked to."""
        try:
            groups = re.compile(self.pattern).groupindex
        except re.error as error:
            found = f"{self.pattern}, which is no regular expression ({error})"
            yield Conflict("pattern", found, "a regular expression as Python reads it")
            return
        if self.transcript == "name" and "text" not in groups:
            allowed = "one with (?P<text>…), or transcript: txt or csv"
            found = f"{self.pattern}, which has no group `text`"
            yield Conflict("pattern", found, allowed, others=("transcript",))


class FolderSource(PairedFolder):
    """A folder of recordings with the transcript in the file name or in a sidecar."""

    kind: Literal["folder"]


class FeaturesSource(PairedFolder):
    """A folder of `.npy` arrays (T, D): sensors, spectrograms and the like."""

    kind: Literal["features"]
    pattern: str = ARRAY_PATTERN
    """Regular expression over the end of the relative path, with the groups `text`, `speaker`,
    `subset`, as the source `folder` takes it. With `txt` or `csv` the default names nobody."""
    frame_seconds: float = Field(gt=0)
    """Length of one step (row) of an array."""
    dimensions: int = Field(ge=1)
    """Columns of each array; one with another number is rejected."""


class LibriSpeechSource(Section):
    """A corpus in LibriSpeech's layout: SUBSET/SPEAKER/CHAPTER/*.flac with one .trans.txt each."""

    kind: Literal["librispeech"]
    path: str | None = None
    """Folder that holds the subsets (or a folder `LibriSpeech` with them)."""
    url: str | None = None
    """Archive to download instead (.tar.gz); `sha256` must then be given."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    subsets: list[str] = Field(default_factory=list)
    """Subsets to take; all where empty."""

    def conflicts(self) -> Iterator[Conflict]:
        """One place, and an archive with its hash."""
        if (self.path is None) == (self.url is None):
            found = "neither path nor url" if self.path is None else "both path and url"
            allowed = "either path (a folder) or url with sha256 (an archive)"
            yield Conflict("path", found, allowed, others=("url",))
        if self.url is not None and self.sha256 is None:
            allowed = "the SHA-256 of what url gives: an archive is trusted by its hash"
            yield Conflict("sha256", "nothing", allowed, others=("url",))
        if self.url is None and self.sha256 is not None:
            yield Conflict("sha256", "a hash without an archive", "only with url", others=("url",))


class MixtureSource(Section):
    """Several sources as one; each utterance keeps the name of its part."""

    kind: Literal["mixture"]
    parts: dict[PartName, Annotated[OneSource, Field(discriminator="kind")]] = Field(min_length=1)
    """Source by part name."""

    def conflicts(self) -> Iterator[Conflict]:
        """One network hears all parts, so all are sound, or all are arrays of one shape."""
        shapes = {feature_shape(part) for part in self.parts.values()}
        if len(shapes) > 1:
            told = ", ".join(f"{name} {_shape_words(one)}" for name, one in self.parts.items())
            allowed = "features of the same dimensions and frame_seconds in all parts, or in none"
            yield Conflict("parts", told, allowed)


OneSource = SyntheticSource | FolderSource | FeaturesSource | LibriSpeechSource
SourceConfig = Annotated[OneSource | MixtureSource, Field(discriminator="kind")]
MixtureSource.model_rebuild()


def feature_shape(config: SourceConfig) -> tuple[int, float] | None:
    """Dimensions and length of a step in seconds of a source of features; None of sound."""
    if isinstance(config, MixtureSource):
        return feature_shape(next(iter(config.parts.values())))
    if isinstance(config, FeaturesSource):
        return config.dimensions, config.frame_seconds
    return None


def _shape_words(config: SourceConfig) -> str:
    shape = feature_shape(config)
    return "sound" if shape is None else f"{shape[0]} dimensions every {shape[1]} s"


def source_paths(config: SourceConfig) -> Mapping[str, str]:
    """The folders that a source reads, by name of the stage input: `source` or `source.PART`.

    Empty for a source that makes or downloads its data.
    """
    if isinstance(config, MixtureSource):
        return {
            f"source.{part}": path
            for part, one in config.parts.items()
            for path in source_paths(one).values()
        }
    path = None if isinstance(config, SyntheticSource) else config.path
    return {} if path is None else {"source": path}
