"""Where commands that run something speak to people; events where the log is JSON."""

from __future__ import annotations

import logging
from io import TextIOBase
from typing import TYPE_CHECKING, cast

import typer

from voxmill.observability.logs import writes_json

if TYPE_CHECKING:
    from typing import IO

    from rich.console import Console

logger = logging.getLogger(__name__)
_WIDTH = 120


class _Events(TextIOBase):
    """A file whose lines are events, so that nothing but JSON leaves the process."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                logger.info("%s", line.rstrip())
        return len(text)


def open_console() -> Console:
    """A console on standard output, or on the log where that is JSON."""
    from rich.console import Console

    if writes_json():
        return Console(file=cast("IO[str]", _Events()), width=_WIDTH, color_system=None)
    return Console()


def tell(message: str) -> None:
    """Says something beside the log: on standard error, or as an event where the log is JSON."""
    if writes_json():
        logger.warning("%s", message)
    else:
        typer.echo(message, err=True)
