"""docker-compose.yml as Docker's own Compose understands it, and what its services start with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from voxmill.errors import UsageError
from voxmill.launchers.same_path import NOTE, check_same_path, note_same_path
from voxmill.orchestration.compose import entered, make_secrets, place_logins
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.queues import CPU_QUEUE, GPU_QUEUE
from voxmill.pipeline.snapshot import read_snapshot

REPOSITORY = Path(__file__).resolve().parents[2]
# The command that the package installs ends with 0 whatever happens; this is what it starts.
COMPOSE = Path(str(find_spec("compose").origin)).with_name("docker-compose")
OURS = {"voxmill-airflow", "voxmill-stage"}
ONCE = {"airflow-init", "gpu-check", "s3-bucket"}
"""Services that do one thing and end."""


def config(*arguments: str, settings: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMPOSE), "--env-file", str(settings), *arguments, "config", "--format", "json"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """Every service of every profile, with the settings of .env.example."""
    profiles = [part for name in ("celery", "s3", "gpu") for part in ("--profile", name)]
    done = config(*profiles, settings=REPOSITORY / ".env.example")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Source by target."""
    return {each["target"]: each["source"] for each in service.get("volumes", ())}


def test_compose_finds_nothing_wrong_and_profiles_add_what_they_say(services) -> None:
    done = config(settings=REPOSITORY / ".env.example")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    plain = set(json.loads(done.stdout)["services"])
    assert set(services) - plain == {
        *("redis", "worker-cpu", "worker-gpu", "s3", "s3-bucket", "gpu-check"),
    }


def test_the_workers_of_celery_serve_every_queue_that_tasks_are_put_into(services) -> None:
    """A queue that nobody serves is a task that waits for ever."""
    snapshot = read_snapshot(REPOSITORY / "pipeline.json")
    tasks = [task for dag in build_dags(snapshot, REPOSITORY).values() for task in dag.tasks]
    served = {name: queues_of(services[name]["command"]) for name in ("worker-cpu", "worker-gpu")}
    assert served == {"worker-cpu": {"default", CPU_QUEUE}, "worker-gpu": {GPU_QUEUE}}
    assert {task.queue for task in tasks} <= served["worker-cpu"] | served["worker-gpu"]


def queues_of(command: list[str]) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_nothing_is_published_beyond_loopback(services) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == 5
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_images_are_pinned(services) -> None:
    """Another image tomorrow would be another system; ours are built from this commit."""
    for name, service in services.items():
        image = service["image"]
        assert image in OURS or re.search(r":v?\d+\.\d+", image), (name, image)


def test_every_service_that_stays_says_whether_it_is_well(services) -> None:
    for name, service in services.items():
        check = service.get("healthcheck")
        # The API server's check stands in its image.
        assert check or name in ONCE | {"airflow-apiserver"}, name


def test_only_the_proxy_has_the_engine_and_it_has_no_network(services) -> None:
    with_engine = {
        name
        for name, service in services.items()
        if any("docker.sock" in source for source in mounts(service).values())
    }
    assert with_engine == {"docker-proxy"}
    assert services["docker-proxy"]["network_mode"] == "none"
    assert not any(service.get("privileged") for service in services.values())
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_home_project_and_data_have_the_same_path_inside(services) -> None:
    """And a folder that is missing is not made by Docker, empty and root's."""
    for name, service in services.items():
        if service["image"] != "voxmill-airflow":
            continue
        for volume in service["volumes"]:
            if volume["target"].startswith("/srv"):
                assert volume["source"] == volume["target"], name
                assert volume["bind"] == {}, name  # create_host_path is left out where false
        assert mounts(service)["/srv/voxmill"] == "/srv/voxmill"


def test_prometheus_and_grafana_get_the_files_that_are_here(services) -> None:
    found = mounts(services["prometheus"])
    targets = REPOSITORY / "monitoring" / "prometheus" / "targets-compose"
    assert found["/etc/prometheus/targets"] == str(targets)
    named = " ".join(path.read_text() for path in targets.iterdir())
    for host, port in re.findall(r'"([a-z]+):(\d+)"', named):
        assert host in services, f"{host}:{port}"
    grafana = services["grafana"]
    for variable in ("VOXMILL_PROMETHEUS_URL", "VOXMILL_ALERTMANAGER_URL", "VOXMILL_DASHBOARDS"):
        assert grafana["environment"][variable]
    sources = [source for source in mounts(grafana).values() if source.startswith("/")]
    assert all(Path(source).is_dir() for source in sources)


def test_no_secret_stands_in_an_environment(services, tmp_path: Path) -> None:
    """Environments are in `docker inspect` and in every child; files are where they belong."""
    make_secrets(tmp_path / "secrets")
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|SECRET|TOKEN|_KEY$|CREDENTIALS", variable)
            assert not secret or str(value).startswith("/run/secrets/"), variable
        for secret in service.get("secrets", ()):
            assert (tmp_path / "secrets" / secret["source"]).is_file()


@pytest.mark.parametrize("variable", ["VOXMILL_HOME", "VOXMILL_PROJECT", "VOXMILL_DATA"])
def test_a_folder_that_is_not_named_is_refused(tmp_path: Path, variable: str) -> None:
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    settings = tmp_path / "env"
    settings.write_text("\n".join(each for each in lines if not each.startswith(f"{variable}=")))
    done = config(settings=settings)
    assert done.returncode != 0
    assert variable in done.stderr
    assert ".env" in done.stderr


def test_secrets_are_made_once_and_only_the_folder_s_owner_gets_at_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = make_secrets(folder)
    assert sorted(made) == sorted(path.name for path in folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {path: path.read_text() for path in folder.iterdir()}
    assert len(set(before.values())) == len(before)
    assert make_secrets(folder) == []
    assert {path: path.read_text() for path in folder.iterdir()} == before
    key = json.loads((folder / "s3_config.json").read_text())["identities"][0]["credentials"][0]
    assert key["secretKey"] in (folder / "s3_credentials").read_text()


def test_a_service_starts_with_its_secrets_where_the_home_is_the_host_s(tmp_path: Path) -> None:
    secrets, home = tmp_path / "secrets", tmp_path / "home"
    make_secrets(secrets)
    home.mkdir()
    (secrets / "postgres_password").write_text("p@ss/word")  # pragma: allowlist secret
    environ = {"VOXMILL_HOME": str(home), "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
    with pytest.raises(UsageError, match="same absolute path"):
        entered(environ, secrets)
    mount = {"Type": "bind", "Source": str(tmp_path), "Destination": str(tmp_path)}
    note_same_path(home, {"Mounts": [mount]})
    made = entered(environ, secrets)
    assert "airflow:p%40ss%2Fword@postgres" in made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert made["AIRFLOW__CELERY__BROKER_URL"].endswith("@redis:6379/0")
    (secrets / "airflow_token_key").write_text("")
    with pytest.raises(UsageError, match="airflow_token_key"):
        entered(environ, secrets)


def test_logins_are_put_where_airflow_may_write_and_other_ones_stay(tmp_path: Path) -> None:
    """Airflow opens its file of passwords for appending, and a mounted secret is read-only."""
    make_secrets(tmp_path / "secrets")
    environ = {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    place_logins(environ, tmp_path / "secrets")
    file = tmp_path / "airflow" / "logins.json"
    assert file.stat().st_mode & 0o777 == 0o600
    admin = json.loads(file.read_text())["admin"]
    assert admin == json.loads((tmp_path / "secrets" / "airflow_logins.json").read_text())["admin"]
    file.write_text(json.dumps({"admin": "old", "olga": "made by Airflow"}))
    place_logins(environ, tmp_path / "secrets")
    assert json.loads(file.read_text()) == {"admin": admin, "olga": "made by Airflow"}


def test_a_home_that_the_host_has_elsewhere_is_refused(tmp_path: Path) -> None:
    """Docker would mount the host's path of that name into stages."""
    elsewhere = {"Type": "bind", "Source": "/mnt/disk", "Destination": str(tmp_path)}
    with pytest.raises(UsageError, match="the host has this folder at /mnt/disk"):
        note_same_path(tmp_path, {"Mounts": [elsewhere]})
    volume = {"Type": "volume", "Source": str(tmp_path), "Destination": str(tmp_path)}
    with pytest.raises(UsageError, match="no bind mount"):
        note_same_path(tmp_path, {"Mounts": [volume]})
    assert not (tmp_path / NOTE).exists()
    (tmp_path / NOTE).write_text("/srv/voxmill\n")
    with pytest.raises(UsageError, match="found /srv/voxmill"):
        check_same_path(tmp_path)


def test_a_command_becomes_what_it_starts(tmp_path: Path) -> None:
    """No parent process stays behind that would have to pass signals on; a refusal ends with 64."""
    command = [sys.executable, "-m", "voxmill.cli.main", "compose", "enter", "true"]
    environ = {**os.environ, "VOXMILL_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "same absolute path" in done.stderr
