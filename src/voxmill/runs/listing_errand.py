"""A source listed where its stages run: in a container of the stage image, or the pod's other one.

The office's own image has neither the recipe's types nor the sources' code, so that a worker in it
asks the workshop, in a container without credentials that sees the source read-only.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxmill.launchers.container import PYTHON, seen_inside
from voxmill.launchers.errand import Errand, run_in_container, run_in_pod
from voxmill.launchers.launcher import StageRun
from voxmill.runs.failures import error_of
from voxmill.runs.lister import ListingOrder

NAME = "listing"
_CACHE = "hashes.json"
_LISTING = "source.json"


ERRANDS: dict[str, Errand] = {"docker": run_in_container, "pod": run_in_pod}
"""How the workshop is asked, by the launcher's name."""


def list_by_errand(order: ListingOrder, run: Errand) -> None:
    """Lets a container of the stage image validate the recipe and list its source.

    Args:
        order: What is to be listed.
        run: How the workshop is asked.

    Raises:
        UsageError: The recipe is wrong; every mistake is in the message.
        DataError: The source is missing or empty.
        EngineMissing: The engine or the image is missing.
        VoxmillError: The listing failed in another way.
    """
    with _alone(order.cache), _scratch(order) as scratch:
        stage_run = _stage_run(order, scratch)
        if order.cache.is_file():
            shutil.copyfile(order.cache, stage_run.work / _CACHE)
        done = run(stage_run, _command)
        if done.exit_code != 0:
            raise error_of(done.exit_code, _in_the_host_s_words(done.said, order, stage_run))
        shutil.copyfile(stage_run.out / _LISTING, order.out)
        if (stage_run.work / _CACHE).is_file():
            (stage_run.work / _CACHE).replace(order.cache)


def _stage_run(order: ListingOrder, scratch: Path) -> StageRun:
    recipe = order.recipe_file.stem
    for name in ("out", "work", "work/home"):
        (scratch / name).mkdir()
    # A copy: the engine's door lets only folders of VOXMILL_HOME be mounted.
    copied = Path(shutil.copyfile(order.recipe_file, scratch / order.recipe_file.name))
    place = hashlib.sha256(str(order.cache).encode()).hexdigest()[:8]
    return StageRun(
        run=f"{recipe}-{place}",
        recipe=recipe,
        stage=NAME,
        attempt=1,
        recipe_file=copied,
        inputs=order.folders,
        out=scratch / "out",
        work=scratch / "work",
        resources=order.resources,
    )


def _command(inside: StageRun) -> list[str]:
    folders = [
        part
        for name, folder in sorted(inside.inputs.items())
        for part in ("--in", f"{name}={folder}")
    ]
    return [
        *(PYTHON, "-P", "-m", "voxmill.cli.main", "list-source"),
        *("--recipe", str(inside.recipe_file)),
        *folders,
        *("--cache", str(inside.work / _CACHE), "--out", str(inside.out / _LISTING)),
    ]


def _in_the_host_s_words(said: str, order: ListingOrder, stage_run: StageRun) -> str:
    """The container's last word with the paths that a person knows."""
    inside = seen_inside(stage_run)
    text = said.strip().removeprefix("voxmill: ")
    for path in (inside.recipe_file, stage_run.recipe_file):
        text = text.replace(str(path), order.recipe_file.stem)
    for name, folder in sorted(inside.inputs.items(), reverse=True):
        text = text.replace(str(folder), str(order.folders[name]))
    return text or f"Listing the source of {order.recipe_file.stem} in a container failed."


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One listing of a recipe at a time: two would hash the same files."""
    with cache.with_name(f".{cache.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(order: ListingOrder) -> Iterator[Path]:
    """A fresh folder in VOXMILL_HOME; what a killed lister left there goes first."""
    prefix = f".{order.recipe_file.stem}.listing-"
    for left in order.cache.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=order.cache.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
