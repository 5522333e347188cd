"""Which GPUs a stage's container gets where `VOXMILL_GPUS` names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voxmill.errors import CheckpointedAndLeft, EngineMissing, UsageError
from voxmill.launchers import gpu_claims
from voxmill.launchers.container import GPUS_LABEL
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.gpu_claims import GpusTaken, named_gpus, start_on_gpus, when_free


@dataclass
class FakeContainer:
    """As much of Docker's own as the register reads."""

    name: str
    labels: dict[str, str]
    created: datetime
    status: str = "created"

    @property
    def id(self) -> str:
        return self.name

    @property
    def attrs(self) -> dict[str, str]:
        return {"Created": self.created.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")}


@dataclass
class FakeEngine:
    """An engine on which something may happen between two looks."""

    containers: list[FakeContainer] = field(default_factory=list)
    after_the_first_look: Callable[[], None] | None = None
    requests: list[Any] = field(default_factory=list)

    def start(self, arguments: dict[str, Any]) -> FakeContainer | None:
        container = self.create(arguments)
        return None if container is None else self.launch(container)

    def create(self, arguments: dict[str, Any]) -> FakeContainer | None:
        if any(each.name == arguments["name"] for each in self.containers):
            return None
        self.requests.append(arguments.get("device_requests"))
        made = FakeContainer(arguments["name"], arguments["labels"], datetime.now(UTC))
        self.containers.append(made)
        return made

    def launch(self, container: FakeContainer) -> FakeContainer:
        container.status = "running"
        return container

    def remove(self, container: FakeContainer) -> None:
        self.containers.remove(container)

    def labelled(self, label: str) -> list[FakeContainer]:
        found = [each for each in self.containers if label in each.labels]
        if self.after_the_first_look is not None:
            self.after_the_first_look()
            self.after_the_first_look = None
        return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Of a machine whose operator has named two GPUs."""
    monkeypatch.setenv("VOXMILL_GPUS", "0,GPU-5f2")
    return FakeEngine()


def start(engine: FakeEngine, name: str, gpus: int = 1) -> FakeContainer | None:
    return start_on_gpus(engine, {"name": name, "labels": {"org.voxmill.run": name}}, gpus)


def devices(container: FakeContainer) -> str:
    return container.labels[GPUS_LABEL]


def other(devices: str, *, age_seconds: float = 0.0, status: str = "running") -> FakeContainer:
    created = datetime.now(UTC) - timedelta(seconds=age_seconds)
    return FakeContainer("voxmill-other-train", {GPUS_LABEL: devices}, created, status)


def test_stages_that_run_at_once_get_different_gpus(engine: FakeEngine) -> None:
    """The third is told who has them, and gets the one that is free again."""
    first, second = start(engine, "a"), start(engine, "b")
    assert [devices(each) for each in (first, second)] == ["0", "GPU-5f2"]
    assert engine.requests[1][0]["DeviceIDs"] == ["GPU-5f2"]
    assert engine.requests[1][0]["Count"] == 0
    with pytest.raises(GpusTaken, match=r"taken: 0 by a, GPU-5f2 by b"):
        start(engine, "c")
    first.status = "exited"
    assert devices(start(engine, "c")) == "0"


def test_a_stage_with_two_gpus_waits_for_both(engine: FakeEngine) -> None:
    """One of them alone would train another model than the recipe says."""
    holder = start(engine, "a")
    with pytest.raises(GpusTaken):
        start(engine, "b", gpus=2)
    holder.status = "exited"
    assert devices(start(engine, "b", gpus=2)) == "0,GPU-5f2"


@pytest.mark.parametrize(("age_seconds", "keeps"), [(20, False), (-20, True)])
def test_of_two_that_chose_the_same_gpu_at_once_the_older_keeps_it(
    engine: FakeEngine, age_seconds: float, keeps: bool
) -> None:
    """Neither saw the other at its first look; the one that gives way leaves nothing behind."""
    rival = other("0", age_seconds=age_seconds, status="created")
    engine.after_the_first_look = lambda: engine.containers.append(rival)
    if keeps:
        assert devices(start(engine, "a")) == "0"
    else:
        with pytest.raises(GpusTaken, match="0 by voxmill-other-train"):
            start(engine, "a")
        assert engine.containers == [rival]
        assert devices(start(engine, "a")) == "GPU-5f2"


def test_a_container_that_nobody_ever_started_holds_no_gpu(engine: FakeEngine) -> None:
    """Its launcher died in between; its stage's next try removes it, whenever that comes."""
    engine.containers.append(other("0", age_seconds=300, status="created"))
    assert devices(start(engine, "a")) == "0"


def test_more_gpus_than_are_named_are_not_waited_for(engine: FakeEngine) -> None:
    with pytest.raises(EngineMissing, match="names 2 on this machine") as caught:
        start(engine, "a", gpus=3)
    assert not isinstance(caught.value, GpusTaken)


def test_without_names_or_without_gpus_the_container_is_what_it_was(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GPUS_LABEL not in start(engine, "a", gpus=0).labels
    monkeypatch.delenv("VOXMILL_GPUS")
    assert GPUS_LABEL not in start(engine, "b").labels
    assert engine.requests == [None, None]


def test_taken_gpus_are_waited_for_and_that_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_claims, "POLL_SECONDS", 0.0)
    tries = iter([GpusTaken("0 by a"), GpusTaken("0 by a"), "started"])
    told: list[str] = []

    def attempt() -> object:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    assert when_free(attempt, told.append, stopped=bool) == "started"
    assert told == ["waiting for GPUs, 600 s at most. 0 by a"]


def test_gpus_that_stay_taken_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """69, as for any machine that lacks something."""
    monkeypatch.setattr(gpu_claims, "POLL_SECONDS", 0.0)

    def attempt() -> None:
        raise GpusTaken("0 by a")

    with pytest.raises(GpusTaken) as caught:
        when_free(attempt, print, stopped=bool, patience_seconds=-1)
    assert caught.value.exit_code == 69


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ("", ()),
        ("0", ("0",)),
        (" 1, 3 ", ("1", "3")),
        ("GPU-8f2a-1,MIG-4c/1", ("GPU-8f2a-1", "MIG-4c/1")),
    ],
)
def test_gpus_are_named_by_index_or_uuid(told: str, names: tuple[str, ...]) -> None:
    assert named_gpus({"VOXMILL_GPUS": told}) == names


@pytest.mark.parametrize("told", ["all", "0,0", "0;1", "-1"])
def test_anything_else_is_refused_with_what_is_expected(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first stage, although only a later one may need a GPU."""
    monkeypatch.setenv("VOXMILL_GPUS", told)
    with pytest.raises(UsageError, match=r"VOXMILL_GPUS=.*nvidia-smi -L"):
        DockerLauncher()


def test_a_stage_that_is_asked_to_leave_waits_no_longer() -> None:
    """75, so that nobody counts it as a failure."""

    def attempt() -> None:
        raise GpusTaken("0 by a")

    with pytest.raises(CheckpointedAndLeft):
        when_free(attempt, print, stopped=lambda: True)
