"""What a recipe's source holds now: `memory/<recipe>/source.json`, written by the workshop."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.launchers.stage_launch import stage_resources
from voxmill.pipeline.recipe_file import read_recipe_file, source_folders
from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot
from voxmill.runs import memory
from voxmill.runs.lister import Lister, ListingOrder, list_source
from voxmill.runs.project import Project

LISTED_BY = "ingest"
"""The stage whose image and network a listing has: it mirrors what the listing names."""


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


def write_listing(
    project: Project, recipe_file: Path, out: Path, lister: Lister = list_source
) -> None:
    """Writes the listing of a recipe's source; raises as `list_source` does."""
    cache = project.cache / "listings" / f"{recipe_file.stem}.json"
    for file in (cache, out):
        file.parent.mkdir(parents=True, exist_ok=True)
    sections = read_recipe_file(recipe_file)
    lister(
        ListingOrder(
            recipe_file=recipe_file,
            folders=source_folders(sections, project.data),
            cache=cache,
            out=out,
            resources=_resources(recipe_file, sections),
        )
    )


def sync(project: Project, recipe: str, lister: Lister = list_source) -> SourceChange:
    """Writes the source's present listing into the main branch's memory.

    It starts no run; the next one mirrors new data, because `ingest` depends on the listing.

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


def _resources(recipe_file: Path, sections: Mapping[str, Any]) -> dict[str, Any]:
    """What ingest is given, as far as it can be known: the recipe is checked only by its lister."""
    recipes = Snapshot.read(recipe_file.parents[1] / SNAPSHOT_FILE).recipes
    entry = recipes.get(recipe_file.stem)
    node = entry.stages.get(LISTED_BY) if entry else None
    stated = sections.get("resources")
    plain = {"resources": stated} if isinstance(stated, Mapping) else {}
    return stage_resources(node, plain) if node else dict(plain.get("resources", {}))


def _files(listing: bytes) -> Mapping[str, object]:
    files = json.loads(listing).get("files", {})
    return files if isinstance(files, dict) else {}
