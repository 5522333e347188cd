"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A shell starts what runs in its background with Ctrl-C ignored, and every child inherits that;
# programs under test have to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings; a missing one is a failure in CI and a skip elsewhere."""
    folder = Path(os.environ.get("VOXMILL_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        message = f"no real recordings at {folder}/data: set VOXMILL_SHARED"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
