"""How numbers are written on the report page: for people, with units and thousands apart."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import JsonValue

_THIN = "\N{NARROW NO-BREAK SPACE}"


def percent(rate: float) -> str:
    """A rate as a percentage: `3.21 %`, `12.5 %`, `104 %`."""
    value = 100 * rate
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}{_THIN}%"


def tick_percent(rate: float) -> str:
    """A round rate on an axis: `2.5 %`, `30 %`."""
    return f"{100 * rate:g}{_THIN}%"


def whole(count: int) -> str:
    """A count with its thousands apart: `12 345`."""
    return f"{count:,}".replace(",", _THIN)


def size(count: int) -> str:
    """Bytes in decimal units, as file managers and download pages give them: `14.2 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g}{_THIN}{unit}"
    return f"{count}{_THIN}bytes"


def duration(seconds: float) -> str:
    """A length of time: `2.4 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f}{_THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_THIN}min {rest:02d}{_THIN}s"
    return f"{minutes // 60}{_THIN}h {minutes % 60:02d}{_THIN}min"


def factor(real_time_factor: float) -> str:
    """A real-time factor with two digits that count: `0.42`, `0.0026`."""
    return f"{real_time_factor:.2f}" if real_time_factor >= 0.1 else f"{real_time_factor:.2g}"


def speed(real_time_factor: float) -> str:
    """How a real-time factor feels: `42 times as fast as speech`."""
    if real_time_factor <= 0:
        return "not timed"
    if real_time_factor <= 1:
        return f"{1 / real_time_factor:.3g} times as fast as speech"
    return f"takes {real_time_factor:.3g} times as long as speech"


def moment(started: JsonValue) -> str:
    """A time stamp of a report, to the minute; seconds since 1970 or ISO 8601."""
    try:
        if isinstance(started, int | float):
            when = datetime.fromtimestamp(started, tz=UTC)
        else:
            when = datetime.fromisoformat(str(started))
    except (ValueError, OverflowError, OSError):
        return str(started)
    zone = " UTC" if when.utcoffset() in (None, UTC.utcoffset(None)) else ""
    return f"{when:%Y-%m-%d %H:%M}{zone}"


def commit(git_commit: str) -> str:
    """A commit short enough to read, still telling where code was not committed."""
    name, _, dirty = git_commit.partition("-")
    return f"{name[:10]} (dirty)" if dirty else name[:10]
