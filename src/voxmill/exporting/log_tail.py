"""The last lines of a log, as they would stand on a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from voxmill.observability.log_line import as_text

_TAIL_BYTES = 16_384
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (?:INFO )?")


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log; none where it is not there.

    A line that was written over reads as it ended, escape sequences are taken out, and of a date
    the time is left.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    told = "\n".join(as_text(line) for line in text.split("\n"))
    lines = [_as_shown(line) for line in told.split("\n")]
    return [line for line in lines if line.strip()][-count:]


def _as_shown(line: str) -> str:
    from rich.ansi import AnsiDecoder

    shown = AnsiDecoder().decode_line(line.rstrip("\r").rpartition("\r")[2]).plain
    return _STAMP.sub(r"\1 ", shown.expandtabs())
