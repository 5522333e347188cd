"""PROOF: the Docker launcher on a real engine keeps what every launcher promises, and more."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from contracts.launcher_contract import (
    ALL_LINES,
    SAVES_ON_SIGTERM,
    WAITS_FOR_GO,
    LauncherContract,
    job_lines,
    wait_until,
)
from toys.docker_engine import BASE_IMAGE, DockerEngine
from voxmill.errors import EngineMissing
from voxmill.launchers.container import container_name
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.launcher import StageRun

TESTS = Path(__file__).resolve().parents[1]
ATTACH_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _this_engine(engine, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    yield
    left = engine.docker("ps", "--all", "--quiet").stdout.split()
    if left:
        engine.docker("rm", "--force", *left)


class TestContract(LauncherContract):
    """Everything that the launcher `process` promises, in containers."""

    resources: ClassVar = {"image": BASE_IMAGE}

    @pytest.fixture
    def make(self):
        return container_launcher

    @pytest.fixture
    def has_ended(self, engine):
        return lambda run: state_of(engine, run).get("Status") == "exited"


@pytest.fixture
def stage_run(tmp_path: Path) -> StageRun:
    recipe = tmp_path / "digits.yaml"
    recipe.write_text("title: toy\n")
    (tmp_path / "prepared").mkdir()
    return StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=recipe,
        inputs={"prepare": tmp_path / "prepared"},
        out=tmp_path / "artifacts" / "train.partial",
        work=tmp_path / "work",
        grace_seconds=5.0,
        resources={"image": BASE_IMAGE},
    )


def container_launcher(source, emit=print, **options) -> DockerLauncher:
    return DockerLauncher(
        lambda run: ["python3", "-c", source, str(run.out), str(run.work)], emit=emit, **options
    )


def state_of(engine: DockerEngine, stage_run: StageRun) -> dict:
    done = engine.docker("inspect", container_name(stage_run), check=False)
    return json.loads(done.stdout)[0]["State"] if done.returncode == 0 else {}


LOOKS_AROUND = """
import json, os, socket, sys
from pathlib import Path

def attempt(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"

status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
found = {
    "root": attempt(lambda: Path("/made").touch()),
    "input": attempt(lambda: Path("/voxmill/in/prepare/made").touch()),
    "tmp": attempt(lambda: Path("/tmp/made").touch()),
    "network": attempt(lambda: socket.create_connection(("10.0.0.1", 80), timeout=2)),
    "host": [name for name in os.environ if "SECRET" in name or "TOKEN" in name],
    "elsewhere": attempt(lambda: os.listdir(%r)),
    "engine": attempt(lambda: os.stat("/var/run/docker.sock")),
    "capabilities": int(status["CapEff"], 16),
    "privileges": status["NoNewPrivs"],
}
Path(sys.argv[1], "found.json").write_text(json.dumps(found))
"""


def test_a_container_reaches_nothing_but_its_own_folders(stage_run, tmp_path, monkeypatch):
    """Neither the host's variables, nor another folder, nor the network, nor the engine."""
    monkeypatch.setenv("MY_SECRET", "do-not-tell")
    monkeypatch.setenv("HF_TOKEN", "do-not-tell")
    launcher = container_launcher(LOOKS_AROUND % str(tmp_path))
    assert launcher.run(stage_run).exit_code == 0
    found = json.loads((stage_run.out / "found.json").read_text())
    assert found == {
        "root": "OSError",
        "input": "OSError",
        "tmp": "done",
        "network": "OSError",
        "host": [],
        "elsewhere": "FileNotFoundError",
        "engine": "FileNotFoundError",
        "capabilities": 0,
        "privileges": "1",
    }


def test_what_a_stage_writes_belongs_to_whoever_started_it(stage_run, monkeypatch):
    """A caller that is not root can read, rename and delete its outputs."""
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 1235)
    before = os.umask(0)  # the folders are made by root, who runs this test
    try:
        result = container_launcher("open(__import__('sys').argv[1] + '/made', 'w')").run(stage_run)
    finally:
        os.umask(before)
    made = (stage_run.out / "made").stat()
    assert (result.exit_code, made.st_uid, made.st_gid) == (0, 1234, 1235)


def test_a_container_over_its_memory_limit_says_so(stage_run):
    """137 alone would leave a person guessing."""
    needy = replace(stage_run, resources={**stage_run.resources, "memory_gb": 0.1})
    result = container_launcher("bytearray(300 * 2**20)").run(needy)
    assert result.exit_code == 137
    assert "0.1 GiB" in result.cause
    assert "resources.memory_gb" in result.cause


def test_a_missing_image_a_missing_runtime_and_a_missing_engine_say_what_to_do(
    stage_run, monkeypatch
):
    """Exit code 69 each, with the remedy."""
    for resources, remedy in (
        ({"image": "voxmill-nowhere"}, "make images"),
        ({"image": "localhost:1/voxmill-nowhere"}, "registry"),
        ({"image": BASE_IMAGE, "gpus": 1}, "nvidia-container-toolkit"),
    ):
        with pytest.raises(EngineMissing, match=remedy):
            container_launcher("").run(replace(stage_run, resources=resources))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineMissing, match="Start dockerd"):
        container_launcher("").run(stage_run)


@pytest.mark.parametrize(
    ("built", "told"),
    [
        ("b" * 40, f"was built from commit {'b' * 10}, this run began at {'a' * 10}"),
        ("a" * 40 + "-dirty", f"commit {'a' * 10} with uncommitted changes, this run began at"),
        ("a" * 40, None),
    ],
)
def test_an_image_of_another_commit_than_the_run_s_is_told_and_runs(
    engine, stage_run, built, told
) -> None:
    """The label says what was built; a person reads it in the stage's log, and nothing stops."""
    image = "voxmill-of-a-commit"
    engine.docker("create", "--name", "labelled", BASE_IMAGE, "true")
    label = f"LABEL org.opencontainers.image.revision={built}"
    engine.docker("commit", "--change", label, "labelled", image)
    seen: list[str] = []
    resources = {"image": image, "commit": "a" * 40}
    result = container_launcher("print('at work')", seen.append).run(
        replace(stage_run, resources=resources)
    )
    engine.docker("rmi", "--force", image)
    assert result.exit_code == 0
    assert "at work" in seen
    warnings = [line for line in seen if line.startswith("warning:")]
    assert len(warnings) == (told is not None)
    assert told is None or told in warnings[0]


def start_worker(stage_run: StageRun, source: str) -> subprocess.Popen:
    """A worker in a process of its own; prints the log, then `exit <code>`."""
    code = (
        "import sys, pickle; from proofs.test_docker import container_launcher\n"
        "run, source = pickle.load(sys.stdin.buffer)\n"
        "print('exit', container_launcher(source).run(run).exit_code, flush=True)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TESTS), "HOME": str(stage_run.work.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    worker.stdin.write(pickle.dumps((stage_run, source)))
    worker.stdin.close()
    return worker


def test_the_container_goes_on_when_its_worker_is_killed(engine, stage_run):
    """After kill -9 of the worker: one container, one result, and the next try attaches soon."""
    worker = start_worker(stage_run, WAITS_FOR_GO)
    wait_until((stage_run.work / "starts").exists, 30)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert state_of(engine, stage_run)["Status"] == "running"
    seen: list[str] = []
    began = time.monotonic()

    def emit(line: str) -> None:
        if "attached" in line:
            seen.append(f"after {time.monotonic() - began:.1f} s")
            (stage_run.work / "go").touch()
        seen.append(line)

    result = container_launcher("", emit).run(replace(stage_run, attempt=2))
    assert (result.exit_code, result.attached) == (0, True)
    assert float(seen[0].split()[1]) < ATTACH_SECONDS
    assert (stage_run.work / "starts").read_text() == "x"
    assert state_of(engine, stage_run) == {}, "the container was left behind"


def test_a_stop_is_carried_out_although_whoever_asked_is_killed(engine, stage_run):
    """Airflow gives five seconds; the checkpoint takes its time, and nothing is left behind."""
    slow = SAVES_ON_SIGTERM.replace("def save(*_):", "def save(*_):\n    time.sleep(4)")
    worker = start_worker(stage_run, slow)
    log = stage_run.work / "logs" / "train.1.log"
    wait_until(lambda: log.exists() and "ready" in log.read_text(), 30)
    container_launcher("").stop(stage_run, grace_seconds=20.0)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_until(lambda: state_of(engine, stage_run) == {}, 60)
    assert (stage_run.work / "checkpoint").read_text() == "saved"
    found = container_launcher("").attach(stage_run)
    assert found is not None
    assert found.exit_code == 75


def test_an_engine_that_restarts_in_mid_run_costs_nothing(engine, stage_run):
    """With live-restore the container goes on, and each line of its log comes once."""
    seen: list[str] = []
    restarted = []

    def emit(line: str) -> None:
        seen.append(line)
        if line == "early 2" and not restarted:
            restarted.append(line)
            engine.stop()
            time.sleep(2)
            engine.start()
            (stage_run.work / "go").touch()

    result = container_launcher(WAITS_FOR_GO, emit).run(stage_run)
    assert result.exit_code == 0
    assert job_lines(seen) == ALL_LINES


def test_an_engine_that_stays_away_ends_the_wait_with_words(engine, stage_run):
    """69, and a person reads that the job may go on and how to come back to it."""
    seen: list[str] = []

    def emit(line: str) -> None:
        seen.append(line)
        if line == "early 2":
            engine.stop()

    try:
        with pytest.raises(EngineMissing, match="attached to or its result collected"):
            container_launcher(WAITS_FOR_GO, emit, patience_seconds=2.0).run(stage_run)
    finally:
        engine.start()
    (stage_run.work / "go").touch()
    result = container_launcher("", seen.append).run(replace(stage_run, attempt=2))
    assert (result.exit_code, result.attached) == (0, True)
    assert job_lines(seen) == ALL_LINES
