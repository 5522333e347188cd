"""What several proofs share because it takes minutes to make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from toys.docker_engine import DockerEngine, docker_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """A Docker engine with the base image."""
    with docker_engine(tmp_path_factory.mktemp("engine")) as engine:
        engine.build_base()
        yield engine


@pytest.fixture(scope="session")
def images(engine: DockerEngine) -> DockerEngine:
    """The engine with the images of `make images`, of the code as it is."""
    engine.build_images()
    return engine
