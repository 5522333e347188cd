"""Choosing a launcher."""

from __future__ import annotations

import pytest

from voxmill.errors import UsageError
from voxmill.launchers.catalogue import LAUNCHERS, launcher_name, load_launcher


def test_every_catalogued_launcher_loads_and_bears_its_name() -> None:
    """The name that a person writes is the one that messages say."""
    assert {name: load_launcher(name).name for name in LAUNCHERS} == {n: n for n in LAUNCHERS}


def test_an_unknown_launcher_is_refused_with_those_that_there_are() -> None:
    """A typing mistake shows what was meant."""
    with pytest.raises(UsageError, match=r"No launcher 'proces'; there are: .*process"):
        load_launcher("proces")
    with pytest.raises(UsageError, match=r"No launcher 'dokcer'; there are: docker"):
        launcher_name(None, {}, {"VOXMILL_LAUNCHER": "dokcer"})


@pytest.mark.parametrize(
    ("asked", "resources", "environ", "expected"),
    [
        ("pod", {"launcher": "docker"}, {"VOXMILL_LAUNCHER": "process"}, "pod"),
        (None, {"launcher": "docker"}, {"VOXMILL_LAUNCHER": "pod"}, "docker"),
        (None, {}, {"VOXMILL_LAUNCHER": "docker"}, "docker"),
        (None, {}, {}, "process"),
    ],
)
def test_the_nearest_wish_wins(asked, resources, environ, expected) -> None:
    """The person, then the recipe, then the machine, then the embedded default."""
    assert launcher_name(asked, resources, environ) == expected
