"""Prepared speech in a few large files: int16, mono, one utterance behind the other.

A recording is one slice of a memory map, whatever the size of the corpus; nothing is decoded
during training. int16 is what the recordings came as: the round trip loses nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError

Samples = npt.NDArray[np.float32]

_FULL_SCALE = 32768
_SAMPLE_TYPE = np.dtype("<i2")


@dataclass(frozen=True)
class ShardPlace:
    """Where an utterance was put."""

    shard: str
    offset_samples: int
    samples: int


class ShardWriter:
    """Writes utterances into numbered shards in the order in which they are added."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Starts at shard 00000 in the folder; a shard is closed before it exceeds `max_bytes`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_samples = max_bytes // _SAMPLE_TYPE.itemsize
        self._file: BinaryIO | None = None
        self._count = 0
        self._used_samples = 0

    def add(self, samples: Samples) -> ShardPlace:
        """Appends one utterance.

        Args:
            samples: (N,) float32 in [-1, 1]; what exceeds full scale is clipped.
        """
        length = len(samples)
        scaled = np.rint(samples.astype(np.float64) * _FULL_SCALE)  # (N,)
        stored = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(_SAMPLE_TYPE)  # (N,)
        self._file_for(length).write(stored.tobytes())
        place = ShardPlace(f"{self._count - 1:05d}.pcm", self._used_samples, length)
        self._used_samples += length
        return place

    def close(self) -> None:
        """Ends the last shard."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _file_for(self, length: int) -> BinaryIO:
        """The open shard if the utterance still fits, else a new one."""
        if self._file is not None and self._used_samples + length <= self._max_samples:
            return self._file
        self.close()
        self._file = (self._folder / f"{self._count:05d}.pcm").open("wb")
        self._count += 1
        self._used_samples = 0
        return self._file


class ShardReader:
    """Gives the samples of any utterance in constant time."""

    def __init__(self, folder: Path) -> None:
        """Opens a folder of shards; each is mapped when it is first asked for."""
        self._folder = folder
        self._maps: dict[str, npt.NDArray[np.int16]] = {}

    def samples(self, utterance: PreparedUtterance) -> Samples:
        """The samples of one utterance.

        Returns:
            (N,) float32 in [-1, 1), a copy that may be changed.

        Raises:
            DataError: The shard is missing or ends before the utterance does.
        """
        shard = self._maps.get(utterance.shard)
        if shard is None:
            shard = self._maps[utterance.shard] = self._open(utterance)
        end = utterance.offset_samples + utterance.samples
        if end > len(shard):
            raise self._broken(utterance, f"{end} samples at least", f"{len(shard)}")
        stored = shard[utterance.offset_samples : end]  # (N,)
        return stored.astype(np.float32) / np.float32(_FULL_SCALE)

    def __getstate__(self) -> dict[str, object]:
        """Another process maps the shards anew instead of receiving their content."""
        return {"_folder": self._folder, "_maps": {}}

    def _open(self, utterance: PreparedUtterance) -> npt.NDArray[np.int16]:
        path = self._folder / utterance.shard
        size = path.stat().st_size if path.is_file() else 0
        if size == 0:
            raise self._broken(utterance, "a file", "none, or an empty one")
        return np.memmap(path, dtype=_SAMPLE_TYPE, mode="r", shape=(size // _SAMPLE_TYPE.itemsize,))

    def _broken(self, utterance: PreparedUtterance, expected: str, found: str) -> DataError:
        return DataError(
            f"Shard {self._folder / utterance.shard}, utterance {utterance.id}: expected "
            f"{expected}, found {found}. Restore it (`dvc pull`) or run prepare again."
        )
