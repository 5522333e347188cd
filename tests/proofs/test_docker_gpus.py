"""PROOF: with `VOXMILL_GPUS` containers that run at once get different GPUs from a real engine.

The engine takes its part of NVIDIA's container toolkit from a program that does nothing, so that
devices are given to containers, by name, on a machine that has none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.launcher_contract import wait_until
from toys.docker_engine import BASE_IMAGE, DockerEngine
from voxmill.errors import CheckpointedAndLeft
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.launcher import StageRun

SHOWS_ITS_GPUS = """
import os, sys, time
from pathlib import Path

Path(sys.argv[2], "gpus").write_text(os.environ["NVIDIA_VISIBLE_DEVICES"])
while not Path(sys.argv[2], "go").exists():
    time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def gpu_engine(engine: DockerEngine, tmp_path: Path, monkeypatch) -> Iterator[DockerEngine]:
    """The engine on a machine with the toolkit, which it looks for once, at its start."""
    hook = tmp_path / "bin" / "nvidia-container-runtime-hook"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with monkeypatch.context() as context:
        context.setenv("PATH", f"{hook.parent}{os.pathsep}{os.environ['PATH']}")
        engine.stop()
        engine.start()
    yield engine
    left = engine.docker("ps", "--all", "--quiet").stdout.split()
    if left:
        engine.docker("rm", "--force", *left)
    engine.stop()
    engine.start()


def stage_run(folder: Path, run: str, gpus: int) -> StageRun:
    (folder / run / "work").mkdir(parents=True)
    recipe = folder / "digits.yaml"
    recipe.write_text("title: toy\n")
    return StageRun(
        run=f"digits-{run}",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=recipe,
        inputs={},
        out=folder / run / "out",
        work=folder / run / "work",
        resources={"image": BASE_IMAGE, "gpus": gpus},
    )


class Started:
    """A run that a launcher follows, in a thread of its own."""

    def __init__(self, run: StageRun) -> None:
        self.run = run
        self.said: list[str] = []
        self.codes: list[int] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        command = ["python3", "-c", SHOWS_ITS_GPUS]
        launcher = DockerLauncher(
            lambda run: [*command, str(run.out), str(run.work)], emit=self.said.append
        )
        self.codes.append(launcher.run(self.run).exit_code)

    def gpus(self) -> str:
        """What its container was given."""
        note = self.run.work / "gpus"
        wait_until(lambda: note.exists() and note.read_text() != "", 60)
        return note.read_text()

    def let_go(self) -> None:
        (self.run.work / "go").touch()

    def end(self, *, code: int = 0) -> None:
        self.let_go()
        self._thread.join(60)
        assert self.codes == [code], self.said


def test_runs_at_once_get_different_gpus_and_the_next_waits_for_one(tmp_path, monkeypatch) -> None:
    """All three start in the same moment; whoever is too many starts when one has ended."""
    monkeypatch.setenv("VOXMILL_GPUS", "2,3")
    started = [Started(stage_run(tmp_path, name, 1)) for name in ("a", "b", "c")]
    wait_until(lambda: sum((each.run.work / "gpus").exists() for each in started) == 2, 60)
    wait_until(lambda: any("waiting for GPUs" in "".join(each.said) for each in started), 60)
    [waiting] = [each for each in started if not (each.run.work / "gpus").exists()]
    at_work = [each for each in started if each is not waiting]
    assert sorted(each.gpus() for each in at_work) == ["2", "3"]
    freed = at_work[0].gpus()
    at_work[0].end()
    assert waiting.gpus() == freed
    for each in (at_work[1], waiting):
        each.end()


def test_a_run_that_is_stopped_while_it_waits_leaves_at_once(tmp_path, monkeypatch) -> None:
    """75: nothing had started, and the next try waits again."""
    monkeypatch.setenv("VOXMILL_GPUS", "0")
    first = Started(stage_run(tmp_path, "a", 1))
    assert first.gpus() == "0"
    waiting = stage_run(tmp_path, "b", 1)

    def emit(line: str) -> None:
        if line.startswith("waiting for GPUs"):
            launcher.stop(waiting, grace_seconds=1.0)

    launcher = DockerLauncher(lambda _: ["true"], emit=emit)
    with pytest.raises(CheckpointedAndLeft, match="waiting for GPUs"):
        launcher.run(waiting)
    first.end()
    assert launcher.run(waiting).exit_code == 0


def test_a_container_that_was_killed_holds_its_gpus_no_longer(
    engine, tmp_path, monkeypatch
) -> None:
    """Nothing has to be given back: what has ended has none."""
    monkeypatch.setenv("VOXMILL_GPUS", "0,1")
    first = Started(stage_run(tmp_path, "a", 2))
    assert first.gpus() == "0,1"
    engine.docker("kill", "voxmill-digits-a-train")
    first.end(code=137)
    second = Started(stage_run(tmp_path, "b", 2))
    assert second.gpus() == "0,1"
    second.end()


def test_without_names_docker_gives_the_first_to_everybody(tmp_path, monkeypatch) -> None:
    """What the names are for."""
    monkeypatch.delenv("VOXMILL_GPUS", raising=False)
    started = [Started(stage_run(tmp_path, name, 1)) for name in ("a", "b")]
    assert [each.gpus() for each in started] == ["0", "0"]
    for each in started:
        each.end()
