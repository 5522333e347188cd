"""`kubernetes.yaml` in the project's root: what this cluster has, for the pods of tasks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, JsonValue, ValidationError

from voxmill.errors import UsageError
from voxmill.orchestration.queues import GPU_QUEUE
from voxmill.section import Section

SETTINGS_FILE = "kubernetes.yaml"
EXECUTOR = "KubernetesExecutor"


class Placement(Section):
    """Which nodes the pods of a queue may go to."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[dict[str, JsonValue], ...] = ()
    """Taints that do not keep the pods away, as in a pod's own `tolerations`."""


_ON_GPU_NODES = Placement(
    tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
)


class PodSettings(Section):
    """What pods are made of beyond what a stage's `meta` says."""

    git: str = ""
    """`VOXMILL_GIT`: where runs are pushed to; each pod clones the project from there."""
    branch: str = "main"
    """Branch that is cloned."""
    remote: str = ""
    """`VOXMILL_REMOTE`: ssh://… or s3://…"""
    worker_image: str = "voxmill-airflow"
    """Image of the worker's container."""
    registry: str = ""
    """Put before the names of images that name no registry: `registry.example.org/speech`."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets with which the nodes get images."""
    worker_env: dict[str, str] = Field(default_factory=dict)
    """Further variables of the worker's container; no secrets."""
    worker_secret: str | None = None
    """Secret whose keys are files in /run/secrets/voxmill of the worker's container."""
    user_id: int = Field(default=10001, gt=0)
    """Whom everything runs as and belongs to."""
    home_gb: float | None = Field(default=None, gt=0)
    """Most that VOXMILL_HOME may take on the node, in GiB; a pod that takes more is evicted."""
    home_claim: str | None = None
    """Volume claim for VOXMILL_HOME. None: the node's own disk, for as long as the pod lives."""
    data_claim: str | None = None
    """Volume claim with recordings, read-only at /data, which is then VOXMILL_DATA."""
    gpu_resource: str = "nvidia.com/gpu"
    """Name under which the cluster counts GPUs."""
    runtime_class: str | None = None
    """Runtime class of pods with GPUs, such as `nvidia`."""
    worker_memory_gb: float = Field(default=1.0, gt=0)
    """Memory that the worker's container asks for, in GiB."""
    worker_cpus: float = Field(default=0.25, gt=0)
    """Cores that the worker's container asks for."""
    queues: dict[str, Placement] = Field(default_factory=lambda: {GPU_QUEUE: _ON_GPU_NODES})
    """Where the pods of each queue may go; `gpu` and `cpu` are those of stages."""


def read_pod_settings(project_root: Path) -> PodSettings:
    """The project's settings; the defaults where it has no such file.

    Raises:
        UsageError: The file is no YAML mapping, or a field is unknown or wrong; all are named.
    """
    file = project_root / SETTINGS_FILE
    try:
        values = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else {}
        return PodSettings.model_validate_json(json.dumps(values or {}))
    except (yaml.YAMLError, TypeError) as error:
        raise UsageError(f"{file} is no YAML that JSON could hold: {error}") from error
    except ValidationError as error:
        mistakes = "".join(
            f"\n  {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in error.errors()
        )
        raise UsageError(f"{file}:{mistakes}") from error


def on_kubernetes(environ: Mapping[str, str] | None = None) -> bool:
    """Whether Airflow here gives tasks to Kubernetes."""
    from airflow.configuration import conf

    outer = os.environ if environ is None else environ
    named = outer.get("AIRFLOW__CORE__EXECUTOR") or conf.get("core", "executor")
    return EXECUTOR in named
