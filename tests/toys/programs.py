"""Programs that tests need and pip does not bring along."""

from __future__ import annotations

import os
import shutil

import pytest

DEBIAN = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
"""Package by program."""


def program(name: str) -> str:
    """The program's path; a missing one is a failure in CI and a skip elsewhere."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not on PATH: apt-get install {DEBIAN[name]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
