"""PROOF: the images of `make images`: small, without what only builds need, and at work."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toys.docker_engine import REPOSITORY
from toys.packaged_tones import train_and_package
from toys.tone_speech import RATE_HZ, say
from voxmill import __version__

MOST_BYTES = {"voxmill-stage": 1.6e9, "voxmill-airflow": 0.9e9, "voxmill-serve": 0.6e9}
LOOKS_ROUND = """
import importlib.util, json, os, shutil
from pathlib import Path
import voxmill

site = Path(voxmill.__file__).parents[1]
tools = ("gcc", "cc", "make", "pip", "pip3", "uv", "cargo")
modules = ("torch", "airflow", "dvc", "pip", "setuptools", "pytest", "onnxruntime")
caches = [Path("/root/.cache"), Path("/tmp/pip"), Path("/build"), Path("/wheels")]
tests = [path for path in site.glob("*/tests") if not path.parent.name.startswith("onnx")]
print(json.dumps({
    "user": os.getuid(),
    "tools": [name for name in tools if shutil.which(name)],
    "modules": [name for name in modules if importlib.util.find_spec(name)],
    "tests": list(map(str, tests)),
    "caches": [str(path) for path in caches if os.access(path, os.R_OK) and any(path.iterdir())],
    "lists": list(map(str, Path("/var/lib/apt/lists").glob("*_Packages*"))),
    "archives": list(map(str, Path("/var/cache/apt/archives").glob("*.deb"))),
}))
"""
HAVE = {
    "voxmill-stage": {"torch", "onnxruntime"},
    "voxmill-airflow": {"airflow", "dvc"},
    "voxmill-serve": {"onnxruntime"},
}


@pytest.fixture(params=sorted(MOST_BYTES))
def image(request: pytest.FixtureRequest) -> str:
    return request.param


def test_an_image_is_as_small_as_it_was_promised(images, image) -> None:
    size = int(images.docker("image", "inspect", "--format", "{{.Size}}", image).stdout)
    assert size <= MOST_BYTES[image], f"{image}: {size / 1e9:.2f} GB"


def test_an_image_says_what_it_was_built_from(images, image) -> None:
    """Version and commit; `-dirty` where the checkout had changes."""
    config = json.loads(images.docker("image", "inspect", image).stdout)[0]["Config"]
    labels = config["Labels"]
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match", ""]
    commit = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.revision"] == commit.stdout.strip()
    assert config["User"] == "voxmill"
    assert ("Healthcheck" in config) == (image == "voxmill-airflow")


def test_no_build_tool_test_or_cache_is_left_inside(images, image) -> None:
    done = images.docker(
        *("run", "--rm", "--network", "none", "--read-only", "--entrypoint", "python3"),
        *(image, "-c", LOOKS_ROUND),
    )
    found = json.loads(done.stdout)
    assert found.pop("user") == 10001
    assert set(found.pop("modules")) == HAVE[image]
    assert found == {key: [] for key in found}


def test_a_package_is_heard_with_onnxruntime_alone(images, tmp_path: Path) -> None:
    """No network, nothing writable, any user; the package and the recording are all it gets."""
    made = train_and_package(tmp_path)
    recordings = tmp_path / "in"
    recordings.mkdir()
    soundfile.write(recordings / "one.wav", say("ab cd", np.random.default_rng(11)), RATE_HZ)
    done = images.docker(
        *("run", "--rm", "--network", "none", "--read-only", "--user", "1234:1234"),
        *("--volume", f"{made.package}:/package:ro", "--volume", f"{recordings}:/in:ro"),
        *("voxmill-serve", "/package", "/in/one.wav"),
    )
    assert done.stdout == "/in/one.wav\tab cd\n"
