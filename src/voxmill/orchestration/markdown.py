"""Markdown tables from values that may hold what Markdown takes for its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()
) -> list[str]:
    """The lines of a table.

    Args:
        headings: Of the columns.
        rows: A cell for each column.
        right: Columns of numbers, from 0, that are set to the right.
    """
    rulers = ["---:" if number in right else "---" for number in range(len(headings))]
    return [_line(headings), f"|{'|'.join(rulers)}|", *(_line(row) for row in rows)]


def cell(value: object) -> str:
    """A value that stays in its cell: one line, no bar of its own."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(cell(one) for one in cells)} |"
