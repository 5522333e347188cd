"""Who validates a recipe and lists its source: the workshop, wherever the recipe's stages run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxmill.errors import EngineMissing
from voxmill.launchers.catalogue import launcher_name
from voxmill.observability.log_context import REQUEST_VARIABLE, request_id
from voxmill.observability.logs import MODE_VARIABLE
from voxmill.runs.failures import error_of

_NO_MODULE = "ModuleNotFoundError: No module named"


@dataclass(frozen=True, kw_only=True)
class ListingOrder:
    """What is to be listed, and where to."""

    recipe_file: Path
    folders: Mapping[str, Path]
    """Source folders by input name."""
    cache: Path
    """File where hashes are kept from listing to listing."""
    out: Path
    """`source.json`."""
    resources: Mapping[str, object] = field(default_factory=dict)
    """`meta` of ingest with the recipe's `resources` over it: launcher, image, network, …"""


Lister = Callable[[ListingOrder], None]
"""Validates a recipe and lists its source; raises as `list_source` does."""


def list_source(order: ListingOrder, *, launcher: str | None = None) -> None:
    """Validates the recipe and lists its source where its stages run: in a process or a container.

    Args:
        order: What is to be listed.
        launcher: What a person asked for; by default as the recipe, then `VOXMILL_LAUNCHER`, say.

    Raises:
        UsageError: The recipe is wrong; every mistake is in the message.
        DataError: The source is missing or empty.
        EngineMissing: Engine or image are missing, or the workshop is not installed here.
        VoxmillError: The listing failed in another way.
    """
    from voxmill.runs.listing_errand import ERRANDS, list_by_errand

    name = launcher_name(launcher, order.resources)
    if name in ERRANDS:
        list_by_errand(order, ERRANDS[name])
    else:
        list_in_workshop(order)


def list_in_workshop(order: ListingOrder) -> None:
    """Lists in a process of the workshop that is installed here; raises as `list_source` does."""
    # -P: a run's checkout has code of its own, which is not what is installed.
    command = [sys.executable, "-P", "-m", "voxmill.cli.main", "list-source"]
    command += ["--recipe", str(order.recipe_file)]
    for name, folder in sorted(order.folders.items()):
        command += ["--in", f"{name}={folder}"]
    command += ["--cache", str(order.cache), "--out", str(order.out)]
    # Its last word is read here, and is text whatever this process writes.
    environ = {**os.environ, MODE_VARIABLE: "text", REQUEST_VARIABLE: request_id()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("voxmill: ")
        if _NO_MODULE in said:
            raise EngineMissing(
                f"The source of {order.recipe_file.stem} cannot be listed here: this installation "
                f"has no workshop ({said.splitlines()[-1]}). Install voxmill[workshop], or let "
                f"stages run in containers: VOXMILL_LAUNCHER=docker."
            )
        # The file is a draft in a folder that is about to go; people know the recipe by its name.
        said = said.replace(str(order.recipe_file), order.recipe_file.stem)
        raise error_of(done.returncode, said or f"{' '.join(command)}: exit {done.returncode}")
