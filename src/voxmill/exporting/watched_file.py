"""A file that is read again only when it has changed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class Faults:
    """What could not be read, counted by what it was, and logged once for each path."""

    _counts: Counter[str] = field(default_factory=Counter)
    _told: dict[str, str] = field(default_factory=dict)

    def note(self, reason: str, place: object, error: BaseException) -> None:
        """Counts a failure.

        Args:
            reason: One of the catalogue's `ERROR_REASONS`.
            place: Path or name of what could not be read.
            error: Why.
        """
        self._counts[reason] += 1
        if self._told.get(str(place)) != str(error):
            if len(self._told) > 1000:  # a memory of what was said, not a leak
                self._told.clear()
            self._told[str(place)] = str(error)
            logger.warning("%s %s cannot be read: %s", reason, place, error)

    @property
    def counts(self) -> Mapping[str, int]:
        """Failures by reason."""
        return dict(self._counts)


@dataclass
class WatchedFile(Generic[T]):
    """The parsed content of a file, as it was when it could last be read.

    Attributes:
        path: The file; it may come and go.
        parse: Makes a value of its bytes.
        reason: How a failure is counted.
    """

    path: Path
    parse: Callable[[bytes], T]
    reason: str
    faults: Faults
    _mark: tuple[int, int, int] | None = None
    _value: T | None = None
    _fault: Exception | None = None

    def value(self) -> T | None:
        """The newest good content; None where the file is not there, or never was good."""
        try:
            stat = self.path.stat()
            mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if mark != self._mark:
                self._mark, self._fault = mark, None
                self._value = self.parse(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            self._mark = self._value = self._fault = None
        except Exception as error:  # noqa: BLE001  # whatever a foreign file holds, the others are served
            self._fault = error
        if self._fault is not None:  # counted at each look, so that what lasts is told from a slip
            self.faults.note(self.reason, self.path, self._fault)
        return self._value
