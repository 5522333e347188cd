"""The channel that is always there: the log of the task."""

from __future__ import annotations

import logging

from voxmill.orchestration.notice import Event, Notice

logger = logging.getLogger(__name__)

_BAD = frozenset({Event.FAILED, Event.SYNC_FAILED, Event.LATE})


class LogChannel:
    """Writes notices into the log, bad news as errors."""

    name = "log"

    def send(self, notice: Notice) -> None:
        """Writes the notice; see the port."""
        level = logging.ERROR if notice.event in _BAD else logging.INFO
        logger.log(level, "%s: %s", notice.subject, notice.body.replace("\n", "; "))
