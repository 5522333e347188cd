"""The pod of a task on Kubernetes: a worker's container, and a stage's beside it.

Two containers, so that a stage sees neither credentials nor Airflow, whatever its image:

    base    the worker: Airflow's task, DVC, git; environment, secrets
    stage   `pod_keeper` in the stage's image, with GPUs and limits; a sidecar (Kubernetes 1.29 on),
            which ends by itself when the worker has

They share VOXMILL_HOME, the project (the stage read-only) and a folder for orders, under the same
paths. The pod has no token of the cluster's API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxmill.launchers.container import PYTHON, SHM_GIB, TMP_GIB
from voxmill.launchers.pod import DEFAULT_FOLDER, FOLDER_VARIABLE
from voxmill.orchestration.pod_settings import Placement, PodSettings
from voxmill.orchestration.queues import queue_of

HOME = "/voxmill/home"
PROJECT = "/voxmill/project/checkout"
"""Not the volume itself: that is root's, and git trusts no checkout of somebody else."""
DATA = "/data"
SECRETS = "/run/secrets/voxmill"
AFTER_GRACE_SECONDS = 60
"""What is left of a pod's own grace when a stage's is over: for collecting and pushing."""

Json = dict[str, Any]
_SHARED: tuple[Json, ...] = (
    {"name": "home", "mountPath": HOME},
    {"name": "pod", "mountPath": DEFAULT_FOLDER},
)


def executor_config(needs: Mapping[str, Any] | None, settings: PodSettings) -> Json:
    """The argument `executor_config` of a task; Airflow lays it over the site's own template."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    return {"pod_override": PodGenerator.deserialize_model_dict(pod_of(needs, settings))}


def pod_of(needs: Mapping[str, Any] | None, settings: PodSettings) -> Json:
    """The pod of a task, as JSON that Kubernetes takes.

    Args:
        needs: The stage's `meta` with the recipe's `resources` over it; None for a task that
            starts no stage, whose pod then has none.
        settings: What the cluster has.
    """
    stages = [] if needs is None else [_stage(needs, settings)]
    needs = needs or {}
    gpus = int(needs.get("gpus") or 0)
    placement = settings.queues.get(queue_of(needs), Placement())
    grace = math.ceil(float(needs.get("grace_seconds") or 30.0)) + AFTER_GRACE_SECONDS
    spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace,
        "securityContext": _identity(settings.user_id),
        "initContainers": [_clone(settings), *stages],
        "containers": [_worker(settings)],
        "volumes": _volumes(needs, settings),
    }
    optional: Json = {
        "nodeSelector": placement.node_selector,
        "tolerations": list(placement.tolerations),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "runtimeClassName": settings.runtime_class if gpus else None,
    }
    spec |= {name: value for name, value in optional.items() if value}
    # A pod that is moved to another node begins its stage anew.
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": annotations},
        "spec": spec,
    }


def full_image(name: str, registry: str) -> str:
    """The image's name with the site's registry before it, unless it names one itself."""
    host, slash, _ = name.partition("/")
    if not registry or (slash and ("." in host or ":" in host or host == "localhost")):
        return name
    return f"{registry.rstrip('/')}/{name}"


def _identity(user_id: int) -> Json:
    return {
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _locked_in(*, read_only: bool) -> Json:
    """As the launcher `docker` has it: no capabilities, no new privileges."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }


def _worker(settings: PodSettings) -> Json:
    asked = {"cpu": _cores(settings.worker_cpus), "memory": _gibibytes(settings.worker_memory_gb)}
    return {
        "name": "base",  # Airflow's own name for the container that it starts a task in
        "image": full_image(settings.worker_image, settings.registry),
        "env": _worker_env(settings),
        "resources": {"requests": asked},
        "securityContext": _locked_in(read_only=False),
        "volumeMounts": _worker_mounts(settings),
    }


def _clone(settings: PodSettings) -> Json:
    """The project, before anything else: a run is cloned from it."""
    script = f'git clone --quiet --branch "$VOXMILL_BRANCH" "$VOXMILL_GIT" {PROJECT}'
    return {
        "name": "project",
        "image": full_image(settings.worker_image, settings.registry),
        "command": ["sh", "-ec", script],
        "env": _worker_env(settings),
        "securityContext": _locked_in(read_only=False),
        "volumeMounts": _worker_mounts(settings),
    }


def _stage(needs: Mapping[str, Any], settings: PodSettings) -> Json:
    mounts = [
        *_SHARED,
        {"name": "project", "mountPath": str(Path(PROJECT).parent), "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- inside the container
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
    ]
    return {
        "name": "stage",
        "image": full_image(str(needs.get("image") or "voxmill-stage"), settings.registry),
        "restartPolicy": "Always",  # what makes it a sidecar
        "command": [PYTHON, "-P", "-m", "voxmill.launchers.pod_keeper", DEFAULT_FOLDER],
        "resources": _resources(needs, settings),
        "securityContext": _locked_in(read_only=True),
        "volumeMounts": [*mounts, *_data_mount(settings)],
    }


def _resources(needs: Mapping[str, Any], settings: PodSettings) -> Json:
    """Asked for is what is allowed: a node then holds what it promised."""
    limits: Json = {}
    if cpus := float(needs.get("cpus") or 0):
        limits["cpu"] = _cores(cpus)
    if memory := float(needs.get("memory_gb") or 0):
        limits["memory"] = _gibibytes(memory)
    if gpus := int(needs.get("gpus") or 0):
        limits[settings.gpu_resource] = str(gpus)
    return {"limits": limits, "requests": dict(limits)} if limits else {}


def _worker_env(settings: PodSettings) -> list[Json]:
    values = {
        "VOXMILL_HOME": HOME,
        "VOXMILL_PROJECT": PROJECT,
        "VOXMILL_LAUNCHER": "pod",
        FOLDER_VARIABLE: DEFAULT_FOLDER,
        "VOXMILL_GIT": settings.git,
        "VOXMILL_BRANCH": settings.branch,
        "VOXMILL_REMOTE": settings.remote,
        "VOXMILL_DATA": DATA if settings.data_claim else "",
        "VOXMILL_LOG": "json",
        "HOME": HOME,
        "GIT_AUTHOR_NAME": "voxmill",
        "GIT_AUTHOR_EMAIL": "voxmill@localhost",
        "GIT_COMMITTER_NAME": "voxmill",
        "GIT_COMMITTER_EMAIL": "voxmill@localhost",
        **settings.worker_env,
    }
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _worker_mounts(settings: PodSettings) -> list[Json]:
    project = {"name": "project", "mountPath": str(Path(PROJECT).parent)}
    mounts: list[Json] = [*_SHARED, project]
    if settings.worker_secret:
        mounts.append({"name": "secrets", "mountPath": SECRETS, "readOnly": True})
    return [*mounts, *_data_mount(settings)]


def _data_mount(settings: PodSettings) -> list[Json]:
    if not settings.data_claim:
        return []
    return [{"name": "data", "mountPath": DATA, "readOnly": True}]


def _volumes(needs: Mapping[str, Any], settings: PodSettings) -> list[Json]:
    shm = float(needs.get("shm_gb") or SHM_GIB)
    limit = {"sizeLimit": _gibibytes(settings.home_gb)} if settings.home_gb else {}
    home: Json = {"emptyDir": limit}
    if settings.home_claim:
        home = {"persistentVolumeClaim": {"claimName": settings.home_claim}}
    volumes: list[Json] = [
        {"name": "home", **home},
        {"name": "pod", "emptyDir": {}},
        {"name": "project", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {"sizeLimit": _gibibytes(TMP_GIB)}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _gibibytes(shm)}},
    ]
    if settings.worker_secret:
        secret = {"secretName": settings.worker_secret, "defaultMode": 0o440}
        volumes.append({"name": "secrets", "secret": secret})
    if settings.data_claim:
        claim = {"claimName": settings.data_claim, "readOnly": True}
        volumes.append({"name": "data", "persistentVolumeClaim": claim})
    return volumes


def _cores(number: float) -> str:
    return f"{math.ceil(number * 1000)}m"


def _gibibytes(number: float) -> str:
    return f"{math.ceil(number * 1024)}Mi"
