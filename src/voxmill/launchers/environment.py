"""The environment of a stage: only what it needs, so that no credential gets in by accident."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from voxmill.launchers.launcher import StageRun
from voxmill.observability.log_context import REQUEST_VARIABLE, RUN_VARIABLE, request_id
from voxmill.observability.logs import MODE_VARIABLE

PASSED_ON = (
    *("PATH", "LANG", "LC_*", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("OMP_*", "MKL_*", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("CUDA_*", "NVIDIA_*", "NCCL_*", "PYTORCH_*", "CUBLAS_WORKSPACE_CONFIG"),
)
"""Names (with wildcards) that every stage gets from the launcher's own environment."""

NETWORK_ONLY = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HF_ENDPOINT"),
)
"""What a stage that may use the network gets besides."""

_SECRET = ("*TOKEN*", "*SECRET*", "*PASSWORD*", "*CREDENTIAL*", "*_KEY")


def stage_environment(
    stage_run: StageRun, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment variables of the stage's process.

    Args:
        stage_run: Its `resources` say whether the stage has the network and how many GPUs.
        environ: The launcher's environment; by default this process's own.
    """
    outer = os.environ if environ is None else environ
    network = bool(stage_run.resources.get("network"))
    wanted = PASSED_ON + NETWORK_ONLY if network else PASSED_ON
    inner = {name: value for name, value in outer.items() if _allowed(name, wanted)}
    inner |= {
        # A home of its own: ~/.aws, ~/.ssh and ~/.netrc are nobody's business in a stage.
        "HOME": str(stage_run.work / "home"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        MODE_VARIABLE: outer.get(MODE_VARIABLE) or "text",
        RUN_VARIABLE: stage_run.run.removeprefix(f"{stage_run.recipe}-"),
        REQUEST_VARIABLE: request_id(),
    }
    if network:
        inner["HF_HUB_CACHE"] = outer.get("HF_HUB_CACHE") or str(_hub_cache(outer))
    else:
        inner["HF_HUB_OFFLINE"] = "1"
    if not stage_run.resources.get("gpus"):
        inner["CUDA_VISIBLE_DEVICES"] = ""
    return inner


def _allowed(name: str, wanted: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in wanted) and not any(
        fnmatchcase(name.upper(), pattern) for pattern in _SECRET
    )


def _hub_cache(outer: Mapping[str, str]) -> Path:
    """Models that were downloaded before; the hub's token lies beside this folder, not in it."""
    home = outer.get("HF_HOME") or str(Path(outer.get("HOME", "~")) / ".cache" / "huggingface")
    return Path(home).expanduser() / "hub"
