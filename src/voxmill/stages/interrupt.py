"""SIGTERM and Ctrl-C as a flag that long stages ask, so that they save before they leave."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """Gives a function that turns true after SIGTERM or Ctrl-C; the old handlers come back after.

    A second Ctrl-C interrupts at once. Outside the main thread, where Python takes no handlers,
    the flag stays false.
    """
    asked = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        logger.warning("%s: saving and leaving as soon as possible", signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before: dict[signal.Signals, Any] = {one: signal.signal(one, ask) for one in _SIGNALS}
    try:
        yield asked.is_set
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
