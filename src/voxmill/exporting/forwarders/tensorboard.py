"""Event files for TensorBoard, by tensorboardX: numpy and protobuf, no torch, no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxmill.errors import EngineMissing
from voxmill.exporting.forwarders.forwarder import Subject, tag_of
from voxmill.observability.curves import JournalLine

_OWN_FILES = "events.out.tfevents.*"


class TensorBoardForwarder:
    """Writes `<folder>/<recipe>/<run>/`; a run that lies there already is written anew."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        """Opens the files.

        Args:
            subject: The run.
            folder: What `tensorboard --logdir` is given.

        Raises:
            EngineMissing: tensorboardX is not installed.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise EngineMissing(
                "tensorboardX is not installed. `pip install 'voxmill[tensorboard]'`, then again."
            ) from error
        self._folder = folder / subject.recipe / subject.run
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob(_OWN_FILES):
            old.unlink()
        self._writer = SummaryWriter(str(self._folder))
        self._writer.add_text("run", f"{subject.recipe}/{subject.run}, {subject.name}")

    @property
    def place(self) -> str:
        """How to look at it."""
        return f"tensorboard --logdir {self._folder.parents[1]}"

    def send(self, lines: Iterable[JournalLine]) -> None:
        """Writes a point for each finite value, at the time at which it was recorded."""
        for line in lines:
            for metric, value in line.values.items():
                if math.isfinite(value):
                    tag = tag_of(metric, line.labels)
                    self._writer.add_scalar(tag, value, line.step, walltime=line.time)
        self._writer.flush()

    def finish(self, comparisons: Sequence[Path]) -> None:
        """Closes the files; TensorBoard has no place for comparisons."""
        self._writer.close()
