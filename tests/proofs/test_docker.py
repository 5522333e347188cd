"""PROOF: the Docker launcher on a real engine keeps what every launcher promises, and more."""

from __future__ import annotations

from typing import ClassVar

import pytest

from contracts.launcher_contract import LauncherContract
from voxmill.launchers.container import container_name
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.engine import connect


@pytest.fixture(scope="module")
def engine():
    return connect()


class TestDocker(LauncherContract):
    resources: ClassVar = {"image": "voxmill-base:bookworm"}

    @pytest.fixture(autouse=True)
    def _swept(self, engine):
        yield
        for container in engine.containers.list(all=True, filters={"name": "voxmill-"}):
            container.remove(force=True)

    @pytest.fixture
    def make(self, engine):
        return lambda source, emit: DockerLauncher(
            lambda run: ["python3", "-c", source, str(run.out), str(run.work)], emit=emit
        )

    @pytest.fixture
    def has_ended(self, engine):
        return lambda run: engine.containers.get(container_name(run)).status == "exited"
