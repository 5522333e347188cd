"""One short training for all tests of packaged artefacts."""

from __future__ import annotations

import pytest

from toys.packaged_tones import UNNORMALISED, PackagedTones, made_once


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> PackagedTones:
    """A model of the tone language, trained for seconds and packaged; read only."""
    return made_once(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def plain_tones(tmp_path_factory) -> PackagedTones:
    """The same, heard without normalisation; read only."""
    return made_once(tmp_path_factory.mktemp("plain-tones"), UNNORMALISED)
