"""What a recipe's source holds now: `memory/<recipe>/source.json`, written by the workshop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxmill.observability.log_context import REQUEST_VARIABLE, request_id
from voxmill.observability.logs import MODE_VARIABLE
from voxmill.pipeline.recipe_file import read_recipe_file, source_folders
from voxmill.runs import memory
from voxmill.runs.failures import error_of
from voxmill.runs.project import Project


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """How a source differs from what memory has of it."""

    listing: bytes
    """What it holds now: the contents of `source.json`."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    fresh: bool = False
    """True where the listing differs in any way, the recipe's source settings included."""


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


Lister = Callable[[ListingOrder], None]
"""Validates a recipe and lists its source; raises as `list_in_workshop` does."""


def list_in_workshop(order: ListingOrder) -> None:
    """Lets the workshop, in a process of its own, validate the recipe and list its source.

    Raises:
        UsageError: The recipe is wrong; every mistake is in the message.
        DataError: The source is missing or empty.
        VoxmillError: The listing failed in another way.
    """
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
        # The file is a draft in a folder that is about to go; people know the recipe by its name.
        said = said.replace(str(order.recipe_file), order.recipe_file.stem)
        raise error_of(done.returncode, said or f"{' '.join(command)}: exit {done.returncode}")


def write_listing(
    project: Project, recipe_file: Path, out: Path, lister: Lister = list_in_workshop
) -> None:
    """Writes the listing of a recipe's source; raises as `list_in_workshop` does."""
    cache = project.cache / "listings" / f"{recipe_file.stem}.json"
    for file in (cache, out):
        file.parent.mkdir(parents=True, exist_ok=True)
    folders = source_folders(read_recipe_file(recipe_file), project.data)
    lister(ListingOrder(recipe_file=recipe_file, folders=folders, cache=cache, out=out))


def sync(project: Project, recipe: str, lister: Lister = list_in_workshop) -> SourceChange:
    """Writes the source's present listing into the main branch's memory.

    New data then makes a new run, because `ingest` depends on the listing; unchanged data none.

    Raises:
        UsageError: There is no such recipe, or it is wrong.
        DataError: The source is missing or empty.
        VoxmillError: The main branch refuses the change.
    """
    old = memory.read_main(project, recipe, memory.LISTING)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / memory.LISTING
        write_listing(project, project.recipe_file(recipe), out, lister)
        new = out.read_bytes()
    change = compare(old, new)
    if change.fresh:
        subject = f"List the source of {recipe}"
        memory.append_to_main(project, recipe, memory.LISTING, new, subject)
    return change


def compare(old: bytes | None, new: bytes) -> SourceChange:
    """What the new listing has that the old one has not, and the reverse."""
    before, after = _files(old or b"{}"), _files(new)
    return SourceChange(
        listing=new,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(p for p in after.keys() & before.keys() if after[p] != before[p])),
        fresh=old != new,
    )


def _files(listing: bytes) -> Mapping[str, object]:
    files = json.loads(listing).get("files", {})
    return files if isinstance(files, dict) else {}
