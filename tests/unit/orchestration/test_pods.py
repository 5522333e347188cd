"""Pods of tasks, held against the models of the Kubernetes client and Airflow's own merging."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient, V1Pod
from kubernetes.utils.quantity import parse_quantity

from toys.snapshots import snapshot
from voxmill.errors import UsageError
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.pod_settings import Placement, PodSettings, read_pod_settings
from voxmill.orchestration.pods import pod_of
from voxmill.pipeline.snapshot import read_snapshot

REPOSITORY = Path(__file__).resolve().parents[3]
RICH = PodSettings(
    git="ssh://git@git.example.org/speech.git",
    remote="s3://voxmill/data",
    registry="registry.example.org/speech",
    image_pull_secrets=("registry",),
    worker_env={"VOXMILL_SSH_KEY": "/run/secrets/voxmill/ssh_key"},
    worker_secret="voxmill",  # pragma: allowlist secret
    home_gb=200.0,
    data_claim="recordings",
    runtime_class="nvidia",
    queues={
        "gpu": Placement(node_selector={"gpu": "a100"}, tolerations=({"key": "gpu"},)),
        "cpu": Placement(node_selector={"disk": "large"}),
    },
)
NEEDY = {
    "image": "voxmill-stage:cuda",
    "gpus": 2,
    "cpus": 7.5,
    "memory_gb": 64,
    "shm_gb": 8,
    "grace_seconds": 300,
}
CHART = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "placeholder", "labels": {"tier": "airflow"}},
    "spec": {
        "initContainers": [{"name": "git-sync-init", "image": "git-sync:v4"}],
        "containers": [
            {
                "name": "base",
                "image": "apache/airflow:3.3.2",
                "env": [{"name": "AIRFLOW__CORE__EXECUTOR", "value": "LocalExecutor"}],
                "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/airflow.cfg"}],
            }
        ],
        "securityContext": {"runAsUser": 50000, "fsGroup": 0},
        "serviceAccountName": "airflow-worker",
        "volumes": [{"name": "config", "configMap": {"name": "airflow-config"}}],
    },
}
"""What the official chart's own template comes to, shortened."""


def model(pod: dict[str, Any]) -> V1Pod:
    """The pod as the client's model has it; nothing may get lost on the way."""
    built = PodGenerator.deserialize_model_dict(pod)
    assert ApiClient().sanitize_for_serialization(built) == pod
    return built


def container(pod: V1Pod, name: str) -> Any:
    [found] = [one for one in (*pod.spec.init_containers, *pod.spec.containers) if one.name == name]
    return found


@pytest.mark.parametrize("settings", [PodSettings(), RICH])
@pytest.mark.parametrize("needs", [None, {}, NEEDY])
def test_a_pod_is_one_to_the_client_s_models(needs, settings) -> None:
    """Rule: every field is known there, of the right type, and required ones are given."""
    pod = model(pod_of(needs, settings))
    for one in (*pod.spec.containers, *pod.spec.init_containers):
        mounted = {mount.name for mount in one.volume_mounts}
        assert mounted <= {volume.name for volume in pod.spec.volumes}, one.name
        for quantity in ((one.resources and one.resources.limits) or {}).values():
            assert parse_quantity(quantity) > 0


def test_every_stage_of_every_recipe_has_a_pod() -> None:
    """Rule: what dvc.yaml says of a stage, Kubernetes can be told."""
    for entry in read_snapshot(REPOSITORY / "pipeline.json")["recipes"].values():
        for stage in entry["stages"].values():
            pod = model(pod_of({**stage["meta"], **NEEDY}, RICH))
            assert container(pod, "stage").resources.limits["nvidia.com/gpu"] == "2"


def test_a_stage_gets_what_its_meta_asks_for() -> None:
    """Rule: image, GPUs, cores, memory, shared memory and grace are the launcher `docker`'s."""
    pod = model(pod_of(NEEDY, RICH))
    stage = container(pod, "stage")
    assert stage.image == "registry.example.org/speech/voxmill-stage:cuda"
    expected = {"cpu": "7500m", "memory": "65536Mi", "nvidia.com/gpu": "2"}
    assert stage.resources.limits == stage.resources.requests == expected
    [shm] = [volume for volume in pod.spec.volumes if volume.name == "shm"]
    assert (shm.empty_dir.medium, shm.empty_dir.size_limit) == ("Memory", "8192Mi")
    assert pod.spec.termination_grace_period_seconds == 360
    assert (pod.spec.runtime_class_name, pod.spec.node_selector) == ("nvidia", {"gpu": "a100"})
    assert pod.spec.tolerations[0].key == "gpu"
    plain = model(pod_of({}, RICH))
    assert (plain.spec.runtime_class_name, plain.spec.node_selector) == (None, {"disk": "large"})
    assert plain.spec.tolerations is None


def test_a_stage_is_as_locked_in_as_in_a_container_of_its_own() -> None:
    """Rule: no capabilities, privileges, root, host, token of the cluster or secret."""
    pod = model(pod_of(NEEDY, RICH))
    stage = container(pod, "stage")
    inside = stage.security_context
    assert inside.read_only_root_filesystem is True
    assert inside.allow_privilege_escalation is False
    assert inside.capabilities.drop == ["ALL"]
    assert pod.spec.security_context.run_as_non_root is True
    assert pod.spec.security_context.seccomp_profile.type == "RuntimeDefault"
    assert pod.spec.automount_service_account_token is False
    assert not any((pod.spec.host_network, pod.spec.host_pid, pod.spec.host_ipc))
    assert stage.env is None
    assert "secrets" not in {mount.name for mount in stage.volume_mounts}
    assert "secrets" in {mount.name for mount in container(pod, "base").volume_mounts}


def test_worker_and_stage_see_the_same_files_under_the_same_paths() -> None:
    """Rule: a path in an order means the same in both containers."""
    pod = model(pod_of(NEEDY, RICH))
    places = [
        {mount.name: mount.mount_path for mount in container(pod, name).volume_mounts}
        for name in ("base", "stage")
    ]
    shared = places[0].keys() & places[1].keys()
    assert shared == {"home", "pod", "project", "data"}
    assert all(places[0][name] == places[1][name] for name in shared)
    env = {one.name: one.value for one in container(pod, "base").env}
    assert env["VOXMILL_LAUNCHER"] == "pod"
    assert env["VOXMILL_POD"] == container(pod, "stage").command[-1]
    assert env["VOXMILL_HOME"] == places[0]["home"]


def test_airflow_lays_the_pod_over_the_chart_s_template() -> None:
    """Rule: the chart's settings, volumes and init containers stay; image and user are ours."""
    base = PodGenerator.deserialize_model_dict(CHART)
    pod = PodGenerator.reconcile_pods(base, model(pod_of(NEEDY, RICH)))
    [worker] = pod.spec.containers
    assert worker.image == "registry.example.org/speech/voxmill-airflow"
    assert {"AIRFLOW__CORE__EXECUTOR", "VOXMILL_HOME"} <= {one.name for one in worker.env}
    assert {"config", "home"} <= {mount.name for mount in worker.volume_mounts}
    names = [one.name for one in pod.spec.init_containers]
    assert names == ["git-sync-init", "project", "stage"]
    assert pod.spec.security_context.run_as_user == 10001
    assert pod.spec.service_account_name == "airflow-worker"
    ApiClient().sanitize_for_serialization(pod)


def test_tasks_are_pods_only_where_the_executor_is_kubernetes() -> None:
    """Rule: elsewhere nothing of Kubernetes is imported or kept."""
    assert not build_dags(snapshot(), Path())["toy"].task_dict["train"].executor_config
    dags = build_dags(snapshot(schedule={"watch_source": True}), Path(), pods=PodSettings())
    has_stage = {}
    for dag in dags.values():
        loaded = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        for task in loaded.tasks:
            pod = task.executor_config["pod_override"]
            has_stage[task.task_id] = "stage" in {one.name for one in pod.spec.init_containers}
    lists_or_runs = {"open", "sync", "ingest", "verify", "prepare", "train"}
    assert {name for name, found in has_stage.items() if found} == lists_or_runs
    assert {name for name, found in has_stage.items() if not found} == {
        *("decide", "approve", "release"),
    }


def test_the_executor_and_the_project_s_file_decide_where_dags_are_read(tmp_path: Path) -> None:
    """Rule: AIRFLOW__CORE__EXECUTOR and kubernetes.yaml are all that a cluster needs to say."""
    (tmp_path / "kubernetes.yaml").write_text("registry: registry.example.org\n")
    program = (
        "import json; from pathlib import Path; from toys.snapshots import snapshot\n"
        "from voxmill.orchestration.dag import build_dags\n"
        f"task = build_dags(snapshot(), Path({str(tmp_path)!r}))['toy'].task_dict['train']\n"
        "print(task.executor_config['pod_override'].spec.containers[0].image)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PYTHONPATH": str(REPOSITORY / "tests"),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,KubernetesExecutor",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["registry.example.org/voxmill-airflow"], done.stderr


def test_every_mistake_in_the_settings_is_named(tmp_path: Path) -> None:
    """Rule: one message, each field, before any task starts."""
    (tmp_path / "kubernetes.yaml").write_text("gti: x\nhome_gb: -1\nqueues: {gpu: {nodes: 3}}\n")
    with pytest.raises(UsageError) as caught:
        read_pod_settings(tmp_path)
    for field in ("gti", "home_gb", "queues.gpu.nodes"):
        assert field in str(caught.value)


def test_the_command_prints_what_the_dag_gives_airflow() -> None:
    """Rule: what a person reads is what runs."""
    command = [sys.executable, "-m", "voxmill.cli.main", "kubernetes", "pod-template"]
    done = subprocess.run(
        [*command, "digits", "train"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    entry = read_snapshot(REPOSITORY / "pipeline.json")["recipes"]["digits"]
    meta = entry["stages"]["train"]["meta"]
    assert yaml.safe_load(done.stdout) == pod_of(meta, read_pod_settings(REPOSITORY))
    refused = subprocess.run(
        [*command, "digits"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 64
