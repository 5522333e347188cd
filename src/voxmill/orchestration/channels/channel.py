"""The port of a channel: one way to tell people of an event."""

from __future__ import annotations

from typing import Protocol

from voxmill.orchestration.notice import Notice

TIMEOUT_SECONDS = 10.0
"""How long a channel may keep a task waiting for an answer of its server."""


class ChannelFailed(Exception):
    """A notice did not get through.

    Its message goes into logs, so it names neither addresses with secrets in them nor passwords.
    """


class Channel(Protocol):
    """Passes notices on."""

    name: str

    def send(self, notice: Notice) -> None:
        """Passes a notice on; returns when the other side has taken it.

        Raises:
            ChannelFailed: It did not get through.
        """
