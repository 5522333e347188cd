"""Work on several threads comes back in order and is not piled up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from voxmill.corpus.ordered_map import ordered_map


def test_results_come_in_the_order_of_items() -> None:
    """Also when the first items take longest."""

    def work(number: int) -> int:
        time.sleep(0.02 if number < 3 else 0.0)
        return number * number

    assert list(ordered_map(work, range(40), workers=4)) == [n * n for n in range(40)]


def test_items_are_taken_only_as_needed() -> None:
    """A slow reader keeps few decoded recordings in memory."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = ordered_map(str, items(), workers=2)
    assert next(results) == "0"
    assert len(taken) <= 10
    results.close()


def test_an_error_surfaces_at_its_place() -> None:
    """What came before is delivered; no thread stays behind."""

    def work(number: int) -> float:
        return 1 / (3 - number)

    before = threading.active_count()
    results = ordered_map(work, range(100), workers=2)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
