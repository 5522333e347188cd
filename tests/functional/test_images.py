"""Dockerfiles as they are read: what every image of this project has, and never has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = {path.parent.name: path.read_text() for path in REPOSITORY.glob("images/*/Dockerfile")}
SERVICES = {"airflow"}
"""Images whose command stays and answers; the others do one thing and end."""


@pytest.fixture(params=sorted(IMAGES))
def image(request: pytest.FixtureRequest) -> str:
    return request.param


def last_stage(text: str) -> str:
    return text[text.rindex("\nFROM ") :]


def test_there_are_the_three_images_that_make_images_builds() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    named = re.search(r"^IMAGES \?= (.*)$", makefile, re.MULTILINE)
    assert named is not None
    assert set(named[1].split()) == set(IMAGES) == {"stage", "airflow", "serve"}


def test_an_image_is_built_on_whatever_base_and_from_a_lock(image: str) -> None:
    """A site without a registry has a base of its own; nothing is installed unpinned."""
    text = IMAGES[image]
    assert text.count("ARG BASE_IMAGE=python:3.11-slim-bookworm") == 1
    froms = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert froms == ["${BASE_IMAGE}", "locked", "locked", "${BASE_IMAGE}"]
    locks = set(re.findall(r"requirements/(\w+\.lock)", text))
    assert len(locks) == 1
    assert all((REPOSITORY / "requirements" / lock).is_file() for lock in locks)
    for line in re.findall(r"pip install[^&]*", text.replace("\\\n", "")):
        assert "-r requirements/" in line or "--no-deps --target /code ." in line, line
    assert "# syntax=" not in text  # it would pull an image


def test_caches_stay_outside_and_build_tools_in_the_first_stages(image: str) -> None:
    locked, code, lean, last = IMAGES[image].split("\nFROM ")[1:]
    for stage in (locked, code):
        assert "--mount=type=cache,target=/root/.cache/pip" in stage
    assert "uninstall --quiet --yes setuptools pip" in lean
    assert "pip" not in last
    assert "apt-get install" not in last or "rm -rf /var/lib/apt/lists/*" in last


def test_another_commit_is_a_small_layer(image: str) -> None:
    """What changes with it comes last: registries and nodes keep the libraries that they have."""
    last = last_stage(IMAGES[image])
    libraries, code = last.index("--from=lean"), last.index("--from=code")
    assert libraries < code < last.index("ARG REVISION") < last.index("LABEL")


def test_nobody_is_root_and_everybody_says_what_it_is(image: str) -> None:
    last = last_stage(IMAGES[image])
    assert re.search(r"^USER voxmill$", last, re.MULTILINE)
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in last
    assert ("HEALTHCHECK" in last) == (image in SERVICES)


def test_what_a_build_sees_of_the_checkout_is_a_short_list() -> None:
    """No run, cache, secret, test or history gets into an image, not even into a layer of it."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert allowed == {
        *("src", "requirements", "pyproject.toml", "README.md", "LICENSE", "build", "build/wheels"),
    }
