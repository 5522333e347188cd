"""Versions: how they are written and which comes next."""

from __future__ import annotations

import pytest

from voxmill.errors import UsageError
from voxmill.runs.registry import RegisteredVersion, next_version, parse_version, version_name


def test_versions_are_read_with_and_without_their_letter() -> None:
    """`v1.2.3` and `1.2.3` are the same."""
    assert parse_version("v1.2.3") == parse_version("1.2.3") == (1, 2, 3)
    assert version_name((1, 2, 3)) == "v1.2.3"


@pytest.mark.parametrize("wrong", ["", "1.2", "v1.2.3-rc1", "newest", "1.2.3.4", "vv1.2.3"])
def test_anything_else_is_refused(wrong: str) -> None:
    """With an example of what is meant."""
    with pytest.raises(UsageError, match=r"such as v1\.2\.3"):
        parse_version(wrong)


def test_the_next_version_raises_the_patch_number() -> None:
    """By number and not by text: 0.1.10 follows 0.1.9."""
    assert next_version([]) == (0, 1, 0)
    known = [RegisteredVersion((0, 1, 9), "a"), RegisteredVersion((0, 1, 10), "b")]
    assert next_version(known) == (0, 1, 11)
