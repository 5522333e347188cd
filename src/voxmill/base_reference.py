"""How a recipe's section `base` names things: hub models, folders, releases, runs, files.

Both wings read these words: the workshop to check them, the office to bring what they name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
"""How foreign checkpoints end."""

_HUB_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HUB_ID = re.compile(rf"{_HUB_PART}/{_HUB_PART}")
_RECIPE = r"(?P<recipe>[a-z0-9][a-z0-9-]*)"
_RELEASE = re.compile(rf"{_RECIPE}@(?P<version>v\d+\.\d+\.\d+)")
_RUN = re.compile(rf"run:{_RECIPE}/(?P<id>[a-z0-9]([a-z0-9-]*[a-z0-9])?)")


@dataclass(frozen=True)
class ReleaseReference:
    """A released version of a recipe."""

    recipe: str
    version: str
    """`v1.2.3`."""

    def __str__(self) -> str:
        return f"{self.recipe}@{self.version}"


@dataclass(frozen=True)
class RunReference:
    """A run of a recipe, released or not."""

    recipe: str
    id: str

    def __str__(self) -> str:
        return f"run:{self.recipe}/{self.id}"


@dataclass(frozen=True)
class FileReference:
    """A checkpoint that somebody else's program wrote."""

    path: Path
    """As the recipe has it; relative ones start where the recipe's data does."""

    def __str__(self) -> str:
        return str(self.path)


Origin = ReleaseReference | RunReference | FileReference


def is_hub_id(model: str) -> bool:
    """Whether `base.model` is a hub id, `owner/name`; anything else is a folder.

    The text alone decides, so that a recipe means the same on every machine: a folder `a/b` is
    written `./a/b`.
    """
    return _HUB_ID.fullmatch(model) is not None


def parse_origin(init_from: str) -> Origin | None:
    """What `base.init_from` names; None where it is none of the three kinds."""
    if found := _RELEASE.fullmatch(init_from):
        return ReleaseReference(found["recipe"], found["version"])
    if found := _RUN.fullmatch(init_from):
        return RunReference(found["recipe"], found["id"])
    if init_from.endswith(CHECKPOINT_SUFFIXES) and not init_from.startswith("run:"):
        return FileReference(Path(init_from))
    return None
