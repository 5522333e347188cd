"""Loading ahead never changes what is loaded."""

from __future__ import annotations

import threading
import time

import pytest

from voxmill.training.prefetch import Prefetcher


class Numbers:
    """Three batches an epoch, named by their place."""

    def __init__(self):
        self.made = []

    def batch_count(self, epoch):
        return 3

    def batch(self, epoch, position):
        self.made.append((epoch, position))
        return (epoch, position)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_batches_come_in_order_from_the_place_asked_for_to_the_last_epoch():
    """Also across the end of an epoch."""
    batches = Prefetcher(Numbers(), epoch=1, position=2, epochs=3)
    assert list(batches) == [(1, 2), (2, 0), (2, 1), (2, 2)]
    batches.close()


def test_a_place_at_the_end_of_an_epoch_begins_with_the_next():
    """A checkpoint after the last batch of an epoch."""
    batches = Prefetcher(Numbers(), epoch=0, position=3, epochs=2)
    assert list(batches) == [(1, 0), (1, 1), (1, 2)]
    batches.close()


def test_no_more_than_depth_are_made_ahead():
    """Two wait and one is in hand; memory holds no epoch."""
    source = Numbers()
    batches = Prefetcher(source, epoch=0, position=0, epochs=9, depth=2)
    batches.next()
    time.sleep(0.2)
    assert len(source.made) <= 4
    batches.close()


def test_an_error_arrives_where_its_batch_was_due():
    """Not before, and not swallowed."""

    class Failing(Numbers):
        def batch(self, epoch, position):
            if position == 1:
                raise OSError("shard is gone")
            return super().batch(epoch, position)

    batches = Prefetcher(Failing(), epoch=0, position=0, epochs=1)
    assert batches.next() == (0, 0)
    with pytest.raises(OSError, match="shard is gone"):
        batches.next()
    batches.close()


def test_a_closed_prefetcher_leaves_no_thread():
    """Even with batches that nobody took."""
    batches = Prefetcher(Numbers(), epoch=0, position=0, epochs=1000)
    batches.next()
    batches.close()
    batches.close()
    assert not threads()
