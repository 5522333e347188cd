"""A thread pool that keeps order and holds few results at once.

Decoding, hashing and resampling release Python's lock, so threads use every core and nothing has
to be copied between processes. Results come in the order of the items: who is faster changes
nothing in what is written.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD_PER_WORKER = 4
"""Items in work or waiting to be taken; bounds the memory that decoded recordings take."""


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """`map(work, items)` on several threads; an error surfaces at its item's place.

    Args:
        work: Called once for each item, on any thread.
        items: Taken as they are needed.
        workers: Threads; None: one for each core.
    """
    count = workers or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="corpus") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= count * _AHEAD_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
