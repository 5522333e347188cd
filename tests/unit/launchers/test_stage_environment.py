"""What a stage's process knows of its surroundings."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.launchers.container import container_environment
from voxmill.launchers.environment import stage_environment
from voxmill.launchers.launcher import StageRun
from voxmill.observability.log_context import log_context


def stage_run(**resources: object) -> StageRun:
    return StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=Path("/p/recipes/digits.yaml"),
        inputs={},
        out=Path("/p/out"),
        work=Path("/p/work/digits"),
        resources=resources,
    )


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "GIT_DIR"),
        *("DVC_STUDIO_TOKEN", "AIRFLOW__CORE__FERNET_KEY", "SSH_AUTH_SOCK", "VOXMILL_REMOTE"),
        *("CUDA_SECRET_KEY", "PYTHONPATH"),
    ],
)
@pytest.mark.parametrize("network", [True, False])
def test_nothing_gets_in_that_is_not_on_the_list(name: str, network: bool) -> None:
    """A list of what is allowed forgets no credential; a list of what is not always does."""
    assert name not in stage_environment(stage_run(network=network), {name: "x"})


def test_what_a_stage_computes_with_gets_in() -> None:
    """Threads, language, time zone, interpreter and GPU settings change results or speed."""
    outer = {"PATH": "/bin", "OMP_NUM_THREADS": "2", "TZ": "UTC", "VIRTUAL_ENV": "/v"}
    inner = stage_environment(stage_run(gpus=1), outer | {"CUDA_VISIBLE_DEVICES": "3"})
    assert inner.items() >= (outer | {"CUDA_VISIBLE_DEVICES": "3"}).items()


def test_a_stage_without_network_is_offline_by_word_too() -> None:
    """Libraries then fail at once with a clear message in place of a time-out."""
    inner = stage_environment(stage_run(), {"HTTPS_PROXY": "http://proxy"})
    assert inner["HF_HUB_OFFLINE"] == "1"
    assert "HTTPS_PROXY" not in inner


def test_a_stage_with_network_gets_the_proxy_and_the_hub_s_downloads_but_not_its_token() -> None:
    """The hub's token lies in HF_HOME, beside the folder of downloads."""
    outer = {"HTTPS_PROXY": "http://proxy", "HF_HOME": "/home/me/hf", "HF_TOKEN": "x"}
    inner = stage_environment(stage_run(network=True), outer)
    assert inner["HTTPS_PROXY"] == "http://proxy"
    assert inner["HF_HUB_CACHE"] == "/home/me/hf/hub"
    assert not {"HF_HUB_OFFLINE", "HF_HOME", "HF_TOKEN"} & inner.keys()


def test_the_home_of_a_stage_is_in_its_work_folder() -> None:
    """Keys in ~/.aws and ~/.ssh are nobody's business there."""
    assert stage_environment(stage_run(), {"HOME": "/root"})["HOME"] == "/p/work/digits/home"


def test_a_stage_that_asks_for_no_gpu_sees_none() -> None:
    """Otherwise every small stage would take memory of the GPU that a trainer runs on."""
    assert (
        stage_environment(stage_run(gpus=0), {"CUDA_VISIBLE_DEVICES": "0"})["CUDA_VISIBLE_DEVICES"]
        == ""
    )


def test_a_stage_knows_its_run_and_the_request_that_it_is_part_of() -> None:
    """So that its lines and the worker's can be found together."""
    with log_context(request="r-1"):
        inner = stage_environment(stage_run(), {})
    assert inner.items() >= {"VOXMILL_RUN": "manual", "VOXMILL_REQUEST": "r-1"}.items()
    assert stage_environment(stage_run(), {})["VOXMILL_REQUEST"]


@pytest.mark.parametrize(
    ("asked", "in_process", "in_container"),
    [("", "text", "json"), ("text", "text", "text"), ("json", "json", "json")],
)
def test_containers_log_as_json_and_processes_as_text_unless_asked(
    asked: str, in_process: str, in_container: str
) -> None:
    """Machines collect what an engine keeps; people read what lies in a folder."""
    outer = {"VOXMILL_LOG": asked}
    assert stage_environment(stage_run(), outer)["VOXMILL_LOG"] == in_process
    assert container_environment(stage_run(), outer)["VOXMILL_LOG"] == in_container
