"""PROOF: through the proxy the launcher does all that it promises, and nobody does more."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contracts.launcher_contract import LauncherContract
from toys.docker_engine import BASE_IMAGE, REPOSITORY, DockerEngine
from voxmill.launchers.container import GPUS_LABEL, container_name, creation
from voxmill.launchers.docker import DockerLauncher
from voxmill.launchers.engine import Engine, connect
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.same_path import check_same_path

START_SECONDS = 30.0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "proxy.log"


@pytest.fixture(autouse=True)
def door(engine, tmp_path: Path, log: Path, monkeypatch) -> Iterator[Path]:
    """The proxy as a process of its own, and DOCKER_HOST pointing at it."""
    listen = tmp_path / "door" / "docker.sock"
    (tmp_path / "recordings").mkdir()
    command = [sys.executable, "-m", "voxmill.cli.main", "docker-proxy"]
    command += ["--listen", str(listen), "--engine", str(engine.socket), "--home", str(tmp_path)]
    command += ["--image", BASE_IMAGE, "--read-only", "/usr/share/doc"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    deadline = time.monotonic() + START_SECONDS
    while not answers(listen):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "the proxy does not listen"
        time.sleep(0.02)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{listen}")
    yield listen
    process.terminate()
    assert process.wait(timeout=10) == 0, log.read_text()
    left = engine.docker("ps", "--all", "--quiet").stdout.split()
    if left:
        engine.docker("rm", "--force", *left)


def answers(door: Path) -> bool:
    """Whether somebody listens; the socket is there a moment earlier."""
    try:
        return raw(door, "GET", "/_ping") == (200, "OK")
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def container_launcher(source, emit=print, **options) -> DockerLauncher:
    return DockerLauncher(
        lambda run: ["python3", "-c", source, str(run.out), str(run.work)], emit=emit, **options
    )


class TestContractThroughTheProxy(LauncherContract):
    """Everything that every launcher promises: the proxy takes nothing away from it."""

    resources: ClassVar = {"image": BASE_IMAGE}

    @pytest.fixture
    def make(self):
        return container_launcher

    @pytest.fixture
    def has_ended(self, engine):
        def look(run: StageRun) -> bool:
            done = engine.docker("inspect", container_name(run), check=False)
            return (
                done.returncode == 0 and json.loads(done.stdout)[0]["State"]["Status"] == "exited"
            )

        return look


@pytest.fixture
def stage_run(tmp_path: Path) -> StageRun:
    recipe = tmp_path / "digits.yaml"
    recipe.write_text("title: toy\n")
    for name in ("prepared", "out", "work"):
        (tmp_path / name).mkdir()
    return StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=recipe,
        inputs={"prepare": tmp_path / "prepared"},
        out=tmp_path / "out",
        work=tmp_path / "work",
        grace_seconds=5.0,
        resources={"image": BASE_IMAGE},
    )


def refusal(stage_run: StageRun, **changes: Any) -> str:
    """What is said of a container that a stage could have, but for these changes."""
    from docker.errors import APIError

    arguments = creation(stage_run, lambda _: ["true"]) | changes
    with pytest.raises(APIError) as caught:
        connect().containers.create(**arguments)
    assert caught.value.status_code == 403
    return str(caught.value.explanation)


def bind(source: str, *, read_only: bool = True):
    from docker.types import Mount

    return [Mount("/h", source, type="bind", read_only=read_only)]


def raw(door: Path, method: str, path: str, body: object = None) -> tuple[int, str]:
    """A request as no library would send it."""
    connection = http.client.HTTPConnection("docker", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(door))
    data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mounts": bind("/")}, "mount source / is not below"),
        ({"mounts": bind("/run")}, "mount source /run is not below"),
        ({"mounts": bind("/usr/share/doc", read_only=False)}, "is not below"),
        ({"volumes": ["/:/h"]}, "Volumes"),
        ({"volumes": {"data": {"bind": "/h", "mode": "rw"}}}, "Volumes"),
        ({"volumes_from": ["other"]}, "VolumesFrom"),
        ({"privileged": True}, "Privileged"),
        ({"pid_mode": "host"}, "PidMode"),
        ({"ipc_mode": "host"}, "IpcMode"),
        ({"uts_mode": "host"}, "UTSMode"),
        ({"userns_mode": "host"}, "UsernsMode"),
        ({"network_mode": "host"}, "NetworkMode"),
        ({"network_mode": "container:other"}, "NetworkMode"),
        ({"cap_add": ["SYS_ADMIN"]}, "CapAdd"),
        ({"cap_drop": []}, "capabilities"),
        ({"security_opt": ["no-new-privileges", "seccomp=unconfined"]}, "SecurityOpt"),
        ({"devices": ["/dev/sda:/dev/sda"]}, "Devices"),
        ({"device_cgroup_rules": ["a *:* rwm"]}, "DeviceCgroupRules"),
        ({"group_add": ["0"]}, "GroupAdd"),
        ({"sysctls": {"kernel.msgmax": "1"}}, "Sysctls"),
        ({"runtime": "other"}, "Runtime"),
        ({"ports": {"80/tcp": 8080}}, "PortBindings|ExposedPorts"),
        ({"restart_policy": {"Name": "always"}}, "RestartPolicy"),
        ({"cgroup_parent": "/"}, "CgroupParent"),
        ({"image": "other-image"}, "image"),
        ({"name": "other"}, "name"),
        ({"labels": {}}, "label"),
    ],
)
def test_what_no_stage_needs_is_refused_by_its_name(stage_run, log, changes, words) -> None:
    """One thing wrong in an else good description is enough; and it is in the log."""
    import re

    said = refusal(stage_run, **changes)
    assert re.search(words, said), said
    assert re.search(words, log.read_text())
    assert "403 POST" in log.read_text()


def test_what_a_stage_needs_is_let_through(engine, stage_run) -> None:
    """Else the refusals above would prove nothing."""
    connect().containers.create(**creation(stage_run, lambda _: ["true"]))
    assert engine.docker("inspect", container_name(stage_run)).returncode == 0


def test_the_launcher_may_ask_which_gpus_stages_have(engine, monkeypatch) -> None:
    """And is shown nobody else's containers."""
    engine.docker("run", "--detach", "--name", "other", BASE_IMAGE, "sleep", "60")
    labels = ("--label", "org.voxmill.run=x", "--label", "org.voxmill.gpus=1")
    engine.docker("run", "--detach", "--name", "voxmill-x", *labels, BASE_IMAGE, "sleep", "60")
    found = Engine(print).labelled(GPUS_LABEL)
    assert [(each.name, each.labels[GPUS_LABEL]) for each in found] == [("voxmill-x", "1")]


def test_recordings_elsewhere_may_be_mounted_read_only(stage_run) -> None:
    arguments = creation(stage_run, lambda _: ["true"]) | {"mounts": bind("/usr/share/doc")}
    connect().containers.create(**arguments)


def test_a_link_that_leads_out_is_refused(stage_run, tmp_path: Path) -> None:
    """Also where a folder was there when the container was made, and the link came later."""
    from docker.errors import APIError

    (tmp_path / "way-out").symlink_to("/etc")
    assert "/etc" in refusal(stage_run, mounts=bind(str(tmp_path / "way-out")))
    (tmp_path / "later").mkdir()
    arguments = creation(stage_run, lambda _: ["true"])
    container = connect().containers.create(**arguments | {"mounts": bind(f"{tmp_path}/later")})
    (tmp_path / "later").rmdir()
    (tmp_path / "later").symlink_to("/etc")
    with pytest.raises(APIError, match="is not below"):
        container.start()


@pytest.mark.parametrize("options", [("-v", "/:/h"), ("--privileged",), ("--pid", "host")])
def test_docker_run_gets_nowhere(engine, door, options) -> None:
    """What somebody types who has got hold of the socket."""
    command = ["docker", "--host", f"unix://{door}", "run", "--rm", "--name", "voxmill-x", *options]
    command += ["--label", "org.voxmill.run=x", BASE_IMAGE, "id"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "voxmill docker-proxy" in done.stderr
    assert "uid=" not in done.stdout


def test_containers_of_others_are_none_of_our_business(engine, door) -> None:
    """Neither read nor stopped, not even one whose name looks like ours."""
    for name in ("other", "voxmill-postgres-1"):
        engine.docker("run", "--detach", "--name", name, BASE_IMAGE, "sleep", "60")
        identity = engine.docker("inspect", "--format", "{{.Id}}", name).stdout.strip()
        for asked in (name, identity, identity[:12]):
            for method, path in (
                ("GET", f"/containers/{asked}/json"),
                ("GET", f"/containers/{asked}/logs?stdout=1"),
                ("POST", f"/containers/{asked}/stop"),
                ("POST", f"/containers/{asked}/kill"),
                ("DELETE", f"/containers/{asked}?force=1"),
            ):
                status, said = raw(door, method, path)
                assert status == 403, (path, said)
                assert "no stage's" in said
        assert "true" in engine.docker("inspect", "--format", "{{.State.Running}}", name).stdout


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/voxmill-x/exec"),
        ("POST", "/exec/x/start"),
        ("POST", "/containers/voxmill-x/update"),
        ("POST", "/containers/voxmill-x/rename?name=y"),
        ("POST", "/containers/voxmill-x/attach"),
        ("GET", "/containers/voxmill-x/archive?path=/"),
        ("PUT", "/containers/voxmill-x/archive?path=/"),
        ("GET", "/containers/json"),
        ("GET", "/containers/json?all=1&filters=%7B%7D"),
        (
            "GET",
            "/containers/json?a=1;filters=x&filters=%7B%22label%22%3A+%5B%22org.voxmill.gpus%22%5D%7D",
        ),
        ("POST", "/containers/prune"),
        ("POST", "/build"),
        ("POST", "/images/create?fromImage=x"),
        ("GET", "/images/json"),
        ("GET", "/images/other/json"),
        ("POST", "/volumes/create"),
        ("GET", "/secrets"),
        ("POST", "/swarm/init"),
        ("GET", "/info"),
        ("GET", "/events"),
        ("POST", "/session"),
        ("GET", "/containers/../info"),
        ("GET", "/containers/%2e%2e/json"),
        ("GET", "//info"),
        ("GET", "/v1.41/v1.41/containers/json"),
    ],
)
def test_other_questions_are_refused(door, method, path) -> None:
    status, said = raw(door, method, f"/v1.41{path}" if path.startswith("/c") else path)
    assert status == 403, said


@pytest.mark.parametrize(
    "twist",
    [
        lambda text: text.replace('"Init"', '"Binds": ["/:/h"], "Init"'),
        lambda text: text.replace('"Init"', '"privileged": true, "Init"'),
        lambda text: text.replace('"Init"', '"PRIVILEGED": true, "Init"'),
        lambda text: text.replace(
            '"HostConfig"', '"hostconfig": {"Privileged": true}, "HostConfig"'
        ),
        lambda text: text[:-1] + ', "HostConfig": {"Privileged": true}}',
        lambda text: text + text,
        lambda text: text.replace('"Init"', '"RestartPolicy": ["always"], "Init"'),
        lambda text: text.replace('"CapDrop": ["ALL"]', '"CapDrop": {"ALL": 1}'),
        lambda text: text.replace('"Init"', '"MaskedPaths": [], "Init"'),
    ],
)
def test_no_other_spelling_gets_through(door, stage_run, twist) -> None:
    """The engine takes fields in any case, and the last of two."""
    from docker import APIClient
    from docker.models.containers import _create_container_args

    made = creation(stage_run, lambda _: ["true"]) | {"version": "1.41"}
    arguments = _create_container_args(made)
    arguments.pop("name")
    text = json.dumps(APIClient(version="1.41").create_container_config(**arguments))
    path = "/v1.41/containers/create?name=voxmill-twisted"
    status, said = raw(door, "POST", path, twist(text))
    assert status == 403, said
    assert raw(door, "POST", path, text)[0] == 201


def test_many_ask_at_once_and_one_that_hangs_holds_nobody_up(door) -> None:
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(20)]
    for each in idle:
        each.connect(str(door))
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(raw(door, "GET", "/_ping")[0]))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert answers == [200] * 20
    for each in idle:
        each.close()


def proxy_container(engine: DockerEngine, home: Path, inside: Path) -> list[str]:
    """`docker run` of the proxy as docker-compose.yml has it, with this checkout's code."""
    command = ["run", "--detach", "--network", "none", "--name", "the-proxy"]
    for folder in (REPOSITORY / "src", Path(sysconfig.get_path("purelib"))):
        command += ["--volume", f"{folder}:{folder}:ro"]
        if folder.name == "src":
            command += ["--env", f"PYTHONPATH={folder}:{sysconfig.get_path('purelib')}"]
    command += [
        "--volume",
        f"{engine.socket}:/var/run/docker.sock",
        "--env",
        f"VOXMILL_HOME={inside}",
    ]
    command += ["--volume", f"{home}:{inside}", "--volume", f"{home}/door:/run/voxmill", BASE_IMAGE]
    return [*command, "python3", "-m", "voxmill.cli.main", "docker-proxy", "--own-mount"]


def test_in_a_container_the_proxy_refuses_a_home_that_the_host_has_elsewhere(
    engine, tmp_path: Path
) -> None:
    """It asks the engine about its own mounts, for stages are given the host's paths."""
    home = tmp_path / "there"
    (home / "door").mkdir(parents=True)
    engine.docker(*proxy_container(engine, home, Path("/elsewhere")))
    assert engine.docker("wait", "the-proxy").stdout.strip() == "64"
    said = engine.docker("logs", "the-proxy").stderr
    assert f"the host has this folder at {home}" in said
    engine.docker("rm", "the-proxy")
    engine.docker(*proxy_container(engine, home, home))
    deadline = time.monotonic() + START_SECONDS
    while not answers(home / "door" / "docker.sock"):
        assert time.monotonic() < deadline, engine.docker("logs", "the-proxy").stderr
        time.sleep(0.1)
    assert raw(home / "door" / "docker.sock", "GET", "/_ping") == (200, "OK")
    check_same_path(home)
