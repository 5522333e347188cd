"""Numbers on the page are written for people."""

from __future__ import annotations

import pytest

from voxmill.stages.evaluation import formats


def plain(text: str) -> str:
    """With ordinary blanks."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0, "0.00 %"), (0.03214, "3.21 %"), (0.1251, "12.5 %"), (1.0, "100 %"), (2.5, "250 %")],
)
def test_percentages_keep_three_digits(rate: float, text: str):
    """Small rates are compared in hundredths, large ones are not."""
    assert plain(formats.percent(rate)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.84, "0.8 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_grow_their_units(seconds: float, text: str):
    """Seconds, minutes, hours."""
    assert plain(formats.duration(seconds)) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(12, "12 bytes"), (800_000, "800 kB"), (14_230_000, "14.2 MB"), (2_000_000_000, "2 GB")],
)
def test_sizes_are_decimal(count: int, text: str):
    """As download pages count."""
    assert plain(formats.size(count)) == text


def test_speed_is_said_in_words():
    """Nobody has to turn 0.05 around."""
    assert formats.speed(0.05) == "20 times as fast as speech"
    assert formats.speed(2.5) == "takes 2.5 times as long as speech"
    assert formats.speed(0.0) == "not timed"


def test_real_time_factors_keep_two_digits():
    """A fast model does not round to nothing."""
    assert [formats.factor(x) for x in (0.00263, 0.0163, 0.42, 12.0)] == [
        "0.0026",
        "0.016",
        "0.42",
        "12.00",
    ]


@pytest.mark.parametrize(
    ("started", "text"),
    [
        ("2026-11-21T03:04:05+00:00", "2026-11-21 03:04 UTC"),
        ("2026-11-21T03:04:05Z", "2026-11-21 03:04 UTC"),
        (0, "1970-01-01 00:00 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments_are_written_to_the_minute(started: str | int, text: str):
    """Whatever a report holds is shown, in the same form where it can be read."""
    assert formats.moment(started) == text


def test_thousands_stand_apart():
    """12345 is hard to read."""
    assert plain(formats.whole(1234567)) == "1 234 567"


def test_uncommitted_code_shows_beside_the_commit():
    """A figure that no commit can make again must say so."""
    assert formats.commit("c0ffee" * 6) == "c0ffeec0ff"
    assert formats.commit("c0ffee" * 6 + "-dirty") == "c0ffeec0ff (dirty)"
    assert formats.commit("unknown") == "unknown"
