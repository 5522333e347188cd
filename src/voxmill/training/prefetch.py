"""Loads the next batches while the model works on this one; never changes which ones they are."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from voxmill.training.learner import BatchSource

BatchT = TypeVar("BatchT")

_POLL_SECONDS = 0.1  # how soon the thread notices that nobody wants its batches any more


class Prefetcher(Generic[BatchT]):
    """Gives the batches of a source in order from a place, at most `depth` of them ahead.

    A batch is a function of (epoch, position), so it does not matter which thread makes it or
    when. One thread: two would contend for the interpreter with the training step.
    """

    def __init__(
        self,
        source: BatchSource[BatchT],
        *,
        epoch: int,
        position: int,
        epochs: int,
        depth: int = 2,
        wanted: Callable[[int], bool] = lambda position: True,
    ) -> None:
        """Starts loading at once.

        Args:
            source: The batches.
            epoch: Where to begin, from 0.
            position: Position of the first batch in that epoch.
            epochs: Where to end: the number of the last epoch plus 1.
            depth: Batches that may wait.
            wanted: Whether the batch at a position is to be loaded; the others are another
                process's.
        """
        self._source = source
        places = _places(source, epoch, position, epochs)
        self._places = (place for place in places if wanted(place[1]))
        self._ready: queue.Queue[tuple[tuple[BatchT, ...], Exception | None]] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._load, name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> BatchT:
        """The next batch.

        Raises:
            StopIteration: There are no more.
            Exception: Whatever the source raised while it made this batch.
        """
        made, error = self._ready.get()
        if error is not None:
            self._stopped.set()
            raise error
        return made[0]

    def __iter__(self) -> Iterator[BatchT]:
        while True:
            try:
                batch = self.next()
            except StopIteration:
                return
            yield batch

    def close(self) -> None:
        """Stops loading and waits for the thread to end; a second call does nothing."""
        self._stopped.set()
        self._thread.join()

    def _load(self) -> None:
        for epoch, position in self._places:
            try:
                batch = self._source.batch(epoch, position)
            except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
                self._put((), error)
                return
            if not self._put((batch,), None):
                return
        self._put((), StopIteration())

    def _put(self, made: tuple[BatchT, ...], error: Exception | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put((made, error), timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _places(
    source: BatchSource[BatchT], epoch: int, position: int, epochs: int
) -> Iterator[tuple[int, int]]:
    for number in range(epoch, epochs):
        start = position if number == epoch else 0
        for place in range(start, source.batch_count(number)):
            yield number, place
