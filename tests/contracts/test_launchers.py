"""The launchers that need no engine keep what every launcher promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.launcher_contract import SAVES_ON_SIGTERM, LauncherContract, wait_until
from voxmill.launchers.pod import PodLauncher
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


class TestPod(LauncherContract):
    """The keeper, which on Kubernetes is in a container of its own, as a process."""

    @pytest.fixture
    def keeper(self, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-P", "-m", "voxmill.launchers.pod_keeper"]
        environ = {"PATH": os.environ["PATH"], "HF_TOKEN": "do-not-tell"}
        keeper = subprocess.Popen([*command, str(tmp_path / "pod")], env=environ)
        wait_until((tmp_path / "pod").is_dir)
        yield keeper
        keeper.terminate()
        assert keeper.wait(30) == 0

    @pytest.fixture
    def make(self, keeper, tmp_path: Path):
        return lambda source, emit: PodLauncher(
            lambda run: [sys.executable, "-c", source, str(run.out), str(run.work)],
            emit=emit,
            folder=tmp_path / "pod",
        )

    @pytest.fixture
    def has_ended(self):
        return lambda run: (run.work / "jobs" / f"{run.stage}.result.json").exists()

    def test_gpus_are_the_other_container_s_business(self, make, stage_run):
        """The worker's container has none, and Kubernetes has seen to the stage's."""
        needy = replace(stage_run, resources={"gpus": 8})
        assert make("", print).run(needy).exit_code == 0

    def test_a_pod_that_is_deleted_lets_its_job_save_and_leave(self, make, keeper, stage_run):
        """SIGTERM to the container's first process is all that Kubernetes says."""

        def emit(line: str) -> None:
            if line == "ready":
                keeper.send_signal(signal.SIGTERM)

        assert make(SAVES_ON_SIGTERM, emit).run(stage_run).exit_code == 75
        assert (stage_run.work / "checkpoint").read_text() == "saved"
        wait_until(lambda: keeper.poll() == 0)
