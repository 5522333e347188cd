"""The Docker engine: found, asked, and missed with words that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from voxmill.errors import EngineMissing, VoxmillError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""How long an engine that went away in mid-run is waited for; the job may well go on meanwhile."""
ANSWER_SECONDS = 60.0
_TOO_FEW_GPUS = "unknown device"  # nvidia-container-cli: device error: 1: unknown device
_NO_GPU_RUNTIME = ("could not select device driver", "nvidia-container", "libnvidia")


class Engine:
    """A Docker engine that may come and go.

    Args:
        emit: Takes a line for the stage's log, such as that the engine does not answer.
        patience_seconds: How long to wait for an engine that went away.

    Raises:
        EngineMissing: No engine answers.
    """

    def __init__(
        self, emit: Callable[[str], None], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._emit = emit
        self._patience = patience_seconds
        self._client = connect()

    def find(self, name: str) -> Container | None:
        """The container of that name, as it is now."""
        from docker.errors import NotFound

        def look() -> Container | None:
            with suppress(NotFound):
                return self._client.containers.get(name)
            return None

        return self.enduring(look)

    def start(self, arguments: dict[str, Any]) -> Container | None:
        """Creates and starts a container; None where one of that name is there already.

        Raises:
            EngineMissing: Image or GPU runtime is missing, or the engine refuses.
        """
        container = self.create(arguments)
        return None if container is None else self.launch(container)

    def create(self, arguments: dict[str, Any]) -> Container | None:
        """Creates a container that `launch` starts; None and raises as `start` does."""
        from docker.errors import APIError, ImageNotFound

        try:
            return self._client.containers.create(**arguments)
        except ImageNotFound as error:
            self._fetch(arguments["image"], error)
            return self.create(arguments)
        except APIError as error:
            if error.status_code == 409:  # somebody else was quicker
                return None
            raise _refused(arguments["name"], error) from error

    def launch(self, container: Container) -> Container:
        """Starts a created container, or removes it; raises as `start` does."""
        from docker.errors import APIError

        try:
            container.start()
        except APIError as error:
            with suppress(APIError):
                container.remove(force=True)
            raise _refused(container.name, error) from error
        return container

    def labelled(self, label: str) -> list[Container]:
        """Every container that bears a label, whether it runs or not."""
        return self.enduring(
            lambda: self._client.containers.list(
                all=True, filters={"label": [label]}, ignore_removed=True
            )
        )

    def remove(self, container: Container) -> None:
        """Removes an ended container; no harm where it is gone."""
        from docker.errors import APIError

        def go() -> None:
            try:
                container.remove(force=True)
            except APIError as error:
                if error.status_code not in {404, 409}:  # gone, or being removed
                    raise

        self.enduring(go)

    def revision_of(self, image: str) -> str:
        """The commit that an image was built from; empty where its labels do not say."""
        from docker.errors import DockerException

        try:
            found = self._client.images.get(image).labels
        except DockerException:
            return ""
        return str(found.get("org.opencontainers.image.revision", ""))

    def enduring(self, ask: Callable[[], T]) -> T:
        """Asks the engine, and asks again while it does not answer.

        Raises:
            EngineMissing: It stayed away for longer than the patience.
        """
        from requests.exceptions import ConnectionError as NoConnection
        from requests.exceptions import ReadTimeout

        deadline = time.monotonic() + self._patience
        said = False
        while True:
            try:
                answer = ask()
            except (NoConnection, ReadTimeout) as error:
                if time.monotonic() > deadline:
                    raise EngineMissing(_gone(self._patience)) from error
                if not said:
                    self._emit("the Docker engine does not answer; waiting for it")
                    said = True
                time.sleep(0.5)
            else:
                if said:
                    self._emit("the Docker engine answers again")
                return answer

    def _fetch(self, image: str, error: Exception) -> None:
        """Pulls an image that names its registry; a plain name is one that is built here."""
        from docker.errors import DockerException

        host, slash, _ = image.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            raise EngineMissing(
                f"The Docker engine has no image {image!r}. Build it with `make images`, or name "
                f"another with resources.image in the recipe."
            ) from error
        self._emit(f"pulling image {image}")
        try:
            self._client.images.pull(image)
        except DockerException as refused:
            raise EngineMissing(
                f"Image {image!r} is not on the Docker engine and cannot be pulled: {refused}. "
                f"Is the registry's name right, does it answer, and is the engine logged in?"
            ) from refused


def connect(timeout_seconds: float = ANSWER_SECONDS) -> DockerClient:
    """A client of the engine that `DOCKER_HOST` names, by default this machine's.

    Raises:
        EngineMissing: It does not answer.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=timeout_seconds)
        client.ping()
    except DockerException as error:
        raise EngineMissing(
            f"No Docker engine answers ({error}). Start dockerd and join the group `docker`, set "
            f"DOCKER_HOST, or run stages as processes: --launcher process."
        ) from error
    return client


def _refused(name: str, error: Exception) -> VoxmillError:
    text = str(getattr(error, "explanation", None) or error)
    if _TOO_FEW_GPUS in text:
        return EngineMissing(
            f"Container {name} asks for more GPUs than this machine has: {text}. Lower "
            f"resources.gpus in the recipe, or run it on another machine."
        )
    if any(word in text for word in _NO_GPU_RUNTIME):
        return EngineMissing(
            f"Container {name} asks for a GPU, and this Docker engine cannot give one: {text}. "
            f"Install the NVIDIA driver and nvidia-container-toolkit, then `nvidia-ctk runtime "
            f"configure --runtime=docker` and restart dockerd; or set resources.gpus to 0."
        )
    if "no space left" in text.lower():
        return EngineMissing(
            f"Container {name} does not start: no space left where Docker keeps its data ({text}). "
            f"Make room, such as with `docker system prune`, then start again."
        )
    return EngineMissing(f"Container {name} does not start: {text}.")


def _gone(seconds: float) -> str:
    return (
        f"The Docker engine has not answered for {seconds:.0f} s. The job may still run: when the "
        f"engine is back, start the stage again and it is attached to or its result collected."
    )
