"""What a run's training starts from: looked for when the run is opened, brought before ingest."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from voxmill.base_reference import FileReference
from voxmill.pipeline.base_inputs import base_folder, init_files, init_place, origin_of
from voxmill.pipeline.recipe_file import read_recipe_file
from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot
from voxmill.runs.project import Project
from voxmill.runs.trained_checkpoint import UNFINISHED, bring_checkpoint, find_commit

logger = logging.getLogger(__name__)


def check_starting_point(project: Project, recipe_file: Path) -> None:
    """Looks whether everything is there that the section `base` names on this machine or in git.

    A hub is not asked: that is for ingest, which may have the network.

    Raises:
        UsageError: There is no such release or run, or it has not been trained.
        DataError: A folder or file is not there.
        OriginUnreachable: The git origin does not answer.
    """
    sections = read_recipe_file(recipe_file)
    base_folder(sections, project.data)
    origin = origin_of(sections)
    if isinstance(origin, FileReference):
        init_files(sections, project.data)
    elif origin is not None:
        find_commit(project, origin)


def bring_starting_point(
    checkout: Path, recipe: str, stage: str, project: Callable[[], Project]
) -> None:
    """Brings the checkpoint into the checkout's work folder, where the stage is to read it.

    What was brought before is left as it is; a foreign file that changed is brought anew.

    Args:
        checkout: Root of a project or of a run's clone.
        recipe: Name of the recipe.
        stage: Name of the stage; nothing is done for one that does not read the source.
        project: Gives the project; asked only where a release or a run is named.

    Raises:
        UsageError: There is no such stage, release or run, or its files are nowhere to be had.
        DataError: A file is not there, or what came is damaged.
        StorageFailed: The DVC remote does not answer.
        OriginUnreachable: The git origin does not answer.
    """
    node = Snapshot.read(checkout / SNAPSHOT_FILE).stage(recipe, stage)
    if not node.meta.get("source_mount"):
        return
    sections = read_recipe_file(checkout / "recipes" / f"{recipe}.yaml")
    origin, work = origin_of(sections), checkout.absolute() / "work" / recipe
    place = init_place(sections, checkout, work)
    if origin is None or place is None:
        return
    for left in place.parent.glob(f"{UNFINISHED}*"):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    if isinstance(origin, FileReference):
        _bring_files(init_files(sections, checkout), place)
    elif not place.is_dir():
        bring_checkpoint(project(), origin, place)
        logger.info("Brought the checkpoint of %s to %s", origin, place)


def _bring_files(files: tuple[Path, ...], place: Path) -> None:
    if place.is_dir() and all(_is_same(file, place / file.name) for file in files):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place.parent))
    try:
        for file in files:
            _link_or_copy(file.resolve(), partial / file.name)
        partial.chmod(0o755)
        if place.is_dir():
            shutil.rmtree(place)
        partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_same(file: Path, brought: Path) -> bool:
    if not brought.is_file():
        return False
    one, other = file.stat(), brought.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file of somebody else's
        shutil.copy2(source, target)
