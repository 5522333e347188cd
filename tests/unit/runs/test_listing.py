"""How a source's listing differs from what memory has."""

from __future__ import annotations

import json

from voxmill.runs.listing import compare


def listing(**files: str) -> bytes:
    return json.dumps(
        {"kind": "folder", "files": {k: {"sha256": v} for k, v in files.items()}}
    ).encode()


def test_files_are_added_removed_and_changed_by_their_content() -> None:
    """Names tell what came and went, hashes what changed."""
    change = compare(listing(a="1", b="1", c="1"), listing(b="1", c="2", d="1"))
    assert (change.added, change.removed, change.changed) == (("d",), ("a",), ("c",))
    assert change.fresh


def test_the_same_listing_is_not_fresh_and_the_first_one_is() -> None:
    """Unchanged data makes no new run."""
    assert not compare(listing(a="1"), listing(a="1")).fresh
    assert compare(None, listing(a="1")).added == ("a",)
    assert compare(None, listing()).fresh
