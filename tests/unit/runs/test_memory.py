"""Lines of memory: united without losing, repeating or reordering any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxmill.runs.memory import union

LINES = st.lists(st.sampled_from([b'{"id": 1}', b'{"id": 2}', b'{"id": 3}', b'{"why": "a b"}']))


def joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in dict.fromkeys(lines))


@given(LINES, LINES)
def test_a_union_has_every_line_of_both_once(first: list[bytes], second: list[bytes]) -> None:
    """No line is lost and none is there twice."""
    lines = union(joined(first), joined(second)).splitlines()
    assert sorted(lines) == sorted(set(first) | set(second))


@given(LINES, LINES)
def test_a_union_keeps_the_firsts_order_and_adds_at_the_end(
    first: list[bytes], second: list[bytes]
) -> None:
    """What was there before stays where it was: memory only grows."""
    assert union(joined(first), joined(second)).startswith(joined(first))


@given(LINES, LINES)
def test_a_file_that_only_lags_behind_becomes_the_other_byte_for_byte(
    first: list[bytes], more: list[bytes]
) -> None:
    """Else a stage that depends on the file would run again for nothing."""
    assert union(joined(first), joined(first + more)) == joined(first + more)


@given(LINES, LINES)
def test_a_second_merge_adds_nothing(first: list[bytes], second: list[bytes]) -> None:
    """A worker that dies between merging and saying so may merge again."""
    once = union(joined(first), joined(second))
    assert union(once, joined(second)) == once


def test_a_missing_line_end_glues_no_two_lines_together() -> None:
    """A file that a person edited may end without a newline."""
    assert union(b'{"id": 1}', b'{"id": 2}') == b'{"id": 1}\n{"id": 2}\n'
