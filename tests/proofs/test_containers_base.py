"""PROOF: a base model and recordings below VOXMILL_DATA, stages in containers, Airflow's door.

The door is the socket proxy that Compose puts before the engine; it notes what it lets through.
Training is shared by two processes in one container, which has no network but its own loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from toys.corpora import digits
from toys.docker_engine import DockerEngine
from toys.real_project import fresh_clone, run
from toys.small_bases import small_base
from voxmill.launchers.engine_proxy import EngineProxy
from voxmill.launchers.engine_rules import Rules

IN = "/voxmill/in"
RUN = ("voxmill", "run", "digits", "--launcher", "docker")


@dataclass(frozen=True, kw_only=True)
class NotingRules(Rules):
    """The proxy's rules, and what has passed them."""

    let_through: list[dict[str, Any]] = field(default_factory=list)

    def creation(self, body: bytes) -> bytes:
        checked = super().creation(body)
        self.let_through.append(json.loads(checked))
        return checked

    def mounts(self, stage: str) -> dict[str, tuple[str, bool]]:
        """Source and whether read-only, by target, of the stage's last container."""
        [*_, last] = [
            one for one in self.let_through if one["Labels"]["org.voxmill.stage"] == stage
        ]
        found = last["HostConfig"]["Mounts"]
        return {each["Target"]: (each["Source"], each.get("ReadOnly", False)) for each in found}


@contextmanager
def door(engine: DockerEngine, listen: Path, rules: Rules) -> Iterator[str]:
    """DOCKER_HOST of a proxy before the engine."""
    with EngineProxy(listen, engine.socket, rules) as proxy:
        serving = threading.Thread(target=proxy.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"unix://{listen}"
        finally:
            proxy.shutdown()
            serving.join()


class Site:
    """A project, its home, and recordings and models beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.data = folder / "home", folder / "data"
        self.home.mkdir()
        digits(self.data, speakers=8, takes=3, words="0123")
        small_base(self.data / "models" / "base", "wavlm")
        self.rules = NotingRules(home=self.home, readable=[self.data])
        self.project = fresh_clone(folder / "voxmill")
        file = self.project / "recipes" / "digits.yaml"
        file.write_text(yaml.safe_dump(on_a_base(yaml.safe_load(file.read_text()))))
        run("git", "commit", "--quiet", "--all", "--message=Begin with a base", cwd=self.project)

    def run(
        self, host: str, run_id: str, until: str, **values: object
    ) -> subprocess.CompletedProcess[str]:
        """`voxmill run` in the project; values by `section__key`."""
        settings = [
            part
            for key, value in values.items()
            for part in ("--set", f"{key.replace('__', '.')}={value}")
        ]
        foreign = ("VOXMILL_", "AIRFLOW", "GIT_")
        outer = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        places = {"VOXMILL_HOME": str(self.home), "VOXMILL_DATA": str(self.data)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{outer['PATH']}"
        threads = {"OMP_NUM_THREADS": "1", "PATH": path}
        return subprocess.run(
            [*RUN, "--run-id", run_id, "--until", until, *settings],
            cwd=self.project,
            env={**outer, **places, **threads, "DOCKER_HOST": host},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def artifacts(self, run_id: str) -> Path:
        return self.home / "runs" / "digits" / run_id / "artifacts" / "digits"


def on_a_base(recipe: dict[str, Any]) -> dict[str, Any]:
    """`digits` on tones and a small WavLM, trained by two processes."""
    encoder = {"kind": "pretrained", "architecture": "wavlm", "trainable_layers": 1, "blocks": 0}
    few = {"epochs": 2, "warmup_steps": 2, "batch_seconds": 4.0, "accumulation": 2, "augment": {}}
    split = recipe["prepare"]["split"] | {"validation_share": 0.25, "test_share": 0.25}
    return {
        **recipe,
        "source": {"kind": "folder", "path": "recordings"},
        "base": {"model": "./models/base"},
        "audit": recipe["audit"] | {"frame_seconds": 0.02, "min_accepted": 50},
        "prepare": recipe["prepare"] | {"split": split},
        "model": recipe["model"] | {"encoder": encoder},
        "train": recipe["train"] | few,
        "resources": {"processes": 2},
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def host(images, site, tmp_path: Path) -> Iterator[str]:
    with door(images, tmp_path / "docker.sock", site.rules) as host:
        yield host


@pytest.fixture(scope="module")
def trained(images, site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A run of that recipe from its source to its training."""
    with door(images, tmp_path_factory.mktemp("door") / "docker.sock", site.rules) as host:
        done = site.run(host, "one", "train")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return site


def test_ingest_alone_sees_recordings_and_the_base_model_and_only_to_read(trained: Site) -> None:
    """Later stages have from it what they need; the door lets just these folders through."""
    run_folder = trained.home / "runs" / "digits" / "one"
    work = str(run_folder / "work" / "digits")
    assert trained.rules.mounts("ingest") == {
        "/voxmill/recipe/digits.yaml": (str(run_folder / "recipes" / "digits.yaml"), True),
        f"{IN}/memory": (str(run_folder / "memory" / "digits"), True),
        f"{IN}/source": (str(trained.data / "recordings"), True),
        f"{IN}/base": (str(trained.data / "models" / "base"), True),
        "/voxmill/out": (f"{run_folder}/artifacts/digits/ingest.partial", False),
        "/voxmill/work": (work, False),
    }
    for stage in ("audit", "verify", "prepare", "probe", "train"):
        mounts = trained.rules.mounts(stage)
        assert not [one for one in mounts.values() if str(trained.data) in one[0]], stage
        assert {target for target, (_, read_only) in mounts.items() if not read_only} == {
            "/voxmill/out",
            "/voxmill/work",
        }
    mirrored = json.loads((trained.artifacts("one") / "prepare" / "base.json").read_text())
    assert "base/model.safetensors" in mirrored["files"]


def test_two_processes_train_in_one_container_without_a_network(trained: Site) -> None:
    """They meet on the container's own loopback; shared memory is 1 GiB, or `resources.shm_gb`."""
    [*_, last] = [
        one for one in trained.rules.let_through if one["Labels"]["org.voxmill.stage"] == "train"
    ]
    assert last["HostConfig"]["NetworkMode"] == "none"
    assert last["HostConfig"]["ShmSize"] == 2**30
    log = (trained.home / "runs/digits/one/work/digits/logs/train.1.log").read_text()
    assert "train of digits: 2 processes" in log
    report = json.loads((trained.artifacts("one") / "train" / "report.json").read_text())
    assert report["figures"]["steps"] == 6


@pytest.mark.parametrize(
    ("run_id", "origin"),
    [("from-run", "run:digits/one"), ("from-file", "./models/base/model.safetensors")],
)
def test_a_run_that_begins_with_weights_gets_them_through_the_door(
    trained: Site, host: str, run_id: str, origin: str
) -> None:
    """They are brought below the home first, so that a stage sees them and nothing beside them."""
    done = trained.run(host, run_id, "ingest", base__init_from=origin)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    source, read_only = trained.rules.mounts("ingest")[f"{IN}/init"]
    work = trained.home / "runs" / "digits" / run_id / "work"
    assert (Path(source).is_relative_to(work), read_only) == (True, True)
    assert list((trained.artifacts(run_id) / "ingest" / "init").iterdir())


def test_a_base_model_elsewhere_is_refused_by_its_path(
    trained: Site, host: str, tmp_path: Path
) -> None:
    """69 with the folder; a link below VOXMILL_DATA does not help it in."""
    elsewhere = small_base(tmp_path / "elsewhere", "wavlm")
    (trained.data / "models" / "link").symlink_to(elsewhere)
    for number, named in enumerate((elsewhere, "./models/link")):
        done = trained.run(host, f"elsewhere-{number}", "ingest", base__model=named)
        assert done.returncode == 69, done.stdout[-3000:] + done.stderr[-3000:]
        assert f"mount source {elsewhere}" in done.stderr
        assert "is not below" in done.stderr
