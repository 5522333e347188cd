"""PROOF: by hand, with DVC or in Airflow: stages in containers make what processes make.

The worker is here, every stage in the image that `make images` builds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from toys.docker_engine import DockerEngine
from toys.real_project import SMALL, fresh_clone, run
from toys.small_disk import small_disk
from toys.toy_project import hashes

STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
TELLS_TIMES = frozenset(
    {"report.json", "index.html", "metrics.json", "README.md", "artefacts.json"}
    | {"hypotheses.jsonl", "state.pt", "manifest.json"}  # the weights are in the package as well
)
"""Files that hold seconds, hosts, versions or hashes of such."""
REASON = "An untrained model will do for this proof."
ON_FIFTY_MEGABYTES = {**SMALL, "source.utterances": 1000, "source.max_words": 7}


def small_project(folder: Path) -> Path:
    """A clone whose recipe is small, whose gates are open, and whose commit the image has not."""
    project = fresh_clone(folder / "voxmill")
    file = project / "recipes" / "digits.yaml"
    recipe = yaml.safe_load(file.read_text())
    for key, value in SMALL.items():
        *path, last = key.split(".")
        section = recipe
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    file.write_text(yaml.safe_dump(recipe, sort_keys=False))
    waivers = [
        {"run": run_id, "check": "train.learned", "who": "a proof", "why": REASON, "when": "2026"}
        for run_id in ("one", "manual")
    ]
    memory = project / "memory" / "digits" / "waivers.jsonl"
    memory.write_text("".join(json.dumps(waiver) + "\n" for waiver in waivers))
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message=Cut digits small", cwd=project)
    return project


@pytest.fixture
def project(images, tmp_path: Path) -> Path:
    """One for each test: what a run remembers in its project would change the next one."""
    del images
    return small_project(tmp_path)


def command(
    engine: DockerEngine, project: Path, home: Path, *words: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """A command in the project, which reaches the engine; one thread, so that sums add up alike."""
    foreign = ("VOXMILL_", "AIRFLOW", "GIT_")
    outer = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    outer["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{outer['PATH']}"
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.run(
        words,
        cwd=project,
        env={**outer, **threads, "DOCKER_HOST": engine.host, "VOXMILL_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def by_process(images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artefacts of a run whose stages were processes."""
    folder = tmp_path_factory.mktemp("process")
    project, home = small_project(folder), folder / "home"
    done = command(images, project, home, "voxmill", "run", "digits", "--run-id", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    return home / "runs" / "digits" / "one" / "artifacts" / "digits"


def made(artifacts: Path) -> dict[str, str]:
    """Hashes of what was made, but for what tells how long it took."""
    found = hashes(artifacts)
    assert {"package/onnx/model.onnx", "package/hf/model.safetensors"} <= set(found)
    return {path: value for path, value in found.items() if Path(path).name not in TELLS_TIMES}


def reports(artifacts: Path) -> dict[str, dict]:
    return {stage: json.loads((artifacts / stage / "report.json").read_text()) for stage in STAGES}


def test_a_run_in_containers_makes_the_very_bytes_of_one_in_processes(
    images, project, by_process, tmp_path: Path
) -> None:
    """And it says, in its log and in every report, that the image is of another commit."""
    done = command(
        images, project, tmp_path / "home", *("voxmill", "run", "digits"),
        *("--run-id", "one", "--launcher", "docker"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    artifacts = tmp_path / "home" / "runs" / "digits" / "one" / "artifacts" / "digits"
    assert made(artifacts) == made(by_process)
    head = run("git", "rev-parse", "HEAD", cwd=project).strip()
    built = {report["versions"]["git_commit"] for report in reports(artifacts).values()}
    assert len(built) == 1
    assert head not in built
    assert f"was built from commit {built.pop()[:10]}" in done.stdout
    assert f"this run began at {head[:10]}" in done.stdout


def test_dvc_repro_by_hand_does_the_same(images, project, by_process, tmp_path: Path) -> None:
    """`VOXMILL_LAUNCHER=docker dvc repro`: same cmd, same stages, same bytes."""
    docker, home = {"VOXMILL_LAUNCHER": "docker"}, tmp_path / "home"
    listed = command(images, project, home, "voxmill", "sync", "digits", **docker)
    assert listed.returncode == 0, listed.stderr
    repro = command(images, project, home, "dvc", "repro", "evaluate@digits", **docker)
    assert repro.returncode == 0, repro.stdout + repro.stderr
    artifacts = project / "artifacts" / "digits"
    assert made(artifacts) == made(by_process)
    hosts = {report["machine"]["host"] for report in reports(artifacts).values()}
    assert len(hosts) == len(STAGES)
    again = command(images, project, home, "dvc", "repro", "evaluate@digits", **docker)
    assert "Running stage" not in again.stdout


@pytest.fixture
def keeper(images, tmp_path: Path) -> Iterator[str]:
    """The stage's container of a pod: nothing in common with its worker but two folders."""
    folders = [tmp_path / name for name in ("home", "pod")]
    for folder in folders:
        folder.mkdir()
    mounts = [part for each in folders for part in ("--volume", f"{each}:{each}")]
    keeps = ("python3", "-P", "-m", "voxmill.launchers.pod_keeper", str(tmp_path / "pod"))
    images.docker(
        *("run", "--detach", "--name", "keeper", "--read-only", "--tmpfs", "/tmp"),
        *("--network", "none", "--cap-drop", "ALL", "--user", f"{os.getuid()}:{os.getgid()}"),
        *(*mounts, "voxmill-stage", *keeps),
    )
    yield "keeper"
    images.docker("rm", "--force", "keeper")


def test_a_pod_s_two_containers_make_the_very_bytes_too(
    images, project, by_process, keeper, tmp_path: Path
) -> None:
    """As on Kubernetes: files alone pass between them, and SIGTERM ends the stage's with 0."""
    pod = {"VOXMILL_LAUNCHER": "pod", "VOXMILL_POD": str(tmp_path / "pod")}
    words = ("voxmill", "run", "digits", "--run-id", "one")
    done = command(images, project, tmp_path / "home", *words, **pod)
    assert done.returncode == 0, done.stdout + done.stderr + images.docker("logs", keeper).stderr
    artifacts = tmp_path / "home" / "runs" / "digits" / "one" / "artifacts" / "digits"
    assert made(artifacts) == made(by_process)
    [host] = {report["machine"]["host"] for report in reports(artifacts).values()}
    assert (
        images.docker("inspect", "--format", "{{.Config.Hostname}}", keeper).stdout == f"{host}\n"
    )
    images.docker("stop", "--time", "30", keeper)
    assert images.docker("inspect", "--format", "{{.State.ExitCode}}", keeper).stdout == "0\n"


def test_with_fifty_megabytes_left_it_says_so_and_goes_on_when_there_are_more(
    images, project, tmp_path: Path
) -> None:
    """69 with the disk's name; what was finished stays finished."""
    values = [
        part for key, value in ON_FIFTY_MEGABYTES.items() for part in ("--set", f"{key}={value}")
    ]
    with small_disk(tmp_path / "small", mebibytes=50) as home:
        words = ("voxmill", "run", "digits", "--run-id", "one", "--launcher", "docker", *values)
        done = command(images, project, home, *words)
        assert done.returncode == 69, done.stdout + done.stderr
        assert "space" in done.stderr
        assert str(home) in done.stderr
        state = json.loads((home / "runs/digits/one/stages.json").read_text())
        finished = {name for name, one in state.items() if one["outcome"] == "executed"}
        subprocess.run(["mount", "-o", "remount,size=1g", str(home)], check=True)
        on = command(images, project, home, "voxmill", "resume", "one", "--launcher", "docker")
        assert on.returncode == 0, on.stdout + on.stderr
        after = json.loads((home / "runs/digits/one/stages.json").read_text())
        assert all(after[name] == state[name] for name in finished)
        assert {one["outcome"] for one in after.values()} == {"executed"}
