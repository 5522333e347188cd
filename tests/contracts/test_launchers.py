"""The launchers that need no engine keep what every launcher promises."""

from __future__ import annotations

import sys

import pytest

from contracts.launcher_contract import LauncherContract
from voxmill.launchers.process import ProcessLauncher


class TestProcess(LauncherContract):
    @pytest.fixture
    def make(self):
        return lambda source, emit: ProcessLauncher(
            lambda run: [sys.executable, "-c", source, str(run.out), str(run.work)], emit=emit
        )

    @pytest.fixture
    def has_ended(self):
        return lambda run: (run.work / "jobs" / f"{run.stage}.result.json").exists()
