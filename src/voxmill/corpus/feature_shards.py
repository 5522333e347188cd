"""Prepared features in a few large files: float32, one array behind the other, row by row.

As with sound, an array is one slice of a memory map. float32 is kept as it is: sensors have no
common full scale that integers could share.

Legend: T steps, D dimensions.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from voxmill.corpus.features import read_settings
from voxmill.corpus.shards import ShardPlace, ShardReader
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError

Steps = npt.NDArray[np.float32]

_VALUE_TYPE = np.dtype("<f4")
SHARDS_FOLDER = "shards"


class FeatureShardWriter:
    """Writes arrays into numbered shards in the order in which they are added."""

    def __init__(self, folder: Path, *, dimensions: int, max_bytes: int) -> None:
        """Starts at shard 00000 in the folder; a shard is closed before it exceeds `max_bytes`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_steps = max_bytes // (_VALUE_TYPE.itemsize * dimensions)
        self._file: BinaryIO | None = None
        self._count = 0
        self._used_steps = 0

    def add(self, samples: Steps) -> ShardPlace:
        """Appends one utterance.

        Args:
            samples: (T, D) float32.
        """
        steps = len(samples)
        self._file_for(steps).write(samples.astype(_VALUE_TYPE, copy=False).tobytes())
        place = ShardPlace(f"{self._count - 1:05d}.f32", self._used_steps, steps)
        self._used_steps += steps
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

    def _file_for(self, steps: int) -> BinaryIO:
        """The open shard if the array still fits, else a new one."""
        if self._file is not None and self._used_steps + steps <= self._max_steps:
            return self._file
        self.close()
        self._file = (self._folder / f"{self._count:05d}.f32").open("wb")
        self._count += 1
        self._used_steps = 0
        return self._file


class FeatureShardReader:
    """Gives the array of any utterance in constant time."""

    def __init__(self, folder: Path, *, dimensions: int) -> None:
        """Opens a folder of shards; each is mapped when it is first asked for."""
        self._folder = folder
        self._dimensions = dimensions
        self._maps: dict[str, Steps] = {}

    def samples(self, utterance: PreparedUtterance) -> Steps:
        """The array of one utterance.

        Returns:
            (T, D) float32, a copy that may be changed.

        Raises:
            DataError: The shard is missing or ends before the utterance does.
        """
        shard = self._maps.get(utterance.shard)
        if shard is None:
            shard = self._maps[utterance.shard] = self._open(utterance)
        end = utterance.offset_samples + utterance.samples
        if end > len(shard):
            raise self._broken(utterance, f"{end} steps at least", f"{len(shard)}")
        return np.array(shard[utterance.offset_samples : end], dtype=np.float32)

    def __getstate__(self) -> dict[str, object]:
        """Another process maps the shards anew instead of receiving their content."""
        return {"_folder": self._folder, "_dimensions": self._dimensions, "_maps": {}}

    def _open(self, utterance: PreparedUtterance) -> Steps:
        path = self._folder / utterance.shard
        steps = path.stat().st_size if path.is_file() else 0
        steps //= _VALUE_TYPE.itemsize * self._dimensions
        if steps == 0:
            raise self._broken(utterance, "a file", "none, or an empty one")
        return np.memmap(path, dtype=_VALUE_TYPE, mode="r", shape=(steps, self._dimensions))

    def _broken(self, utterance: PreparedUtterance, expected: str, found: str) -> DataError:
        return DataError(
            f"Shard {self._folder / utterance.shard}, utterance {utterance.id}: expected "
            f"{expected}, found {found}. Restore it (`dvc pull`) or run prepare again."
        )


def open_shards(prepared: Path) -> ShardReader | FeatureShardReader:
    """Reads what prepare put into shards, sound or features.

    Raises:
        DataError: `features.json` is damaged.
    """
    settings = read_settings(prepared)
    if settings is None:
        return ShardReader(prepared / SHARDS_FOLDER)
    return FeatureShardReader(prepared / SHARDS_FOLDER, dimensions=settings.dimensions)
