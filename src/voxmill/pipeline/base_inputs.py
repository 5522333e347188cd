"""Where what a recipe's section `base` names lies on this machine, as folders for ingest.

A base model's folder is mounted as it is. The checkpoint to start from is brought into the
recipe's work folder first (`runs/starting_point.py`), so that ingest sees nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxmill.base_reference import (
    FileReference,
    Origin,
    ReleaseReference,
    is_hub_id,
    parse_origin,
)
from voxmill.errors import DataError, UsageError
from voxmill.pipeline.recipe_file import data_root

BASE = "base"
INIT = "init"


def base_inputs(sections: Mapping[str, Any], checkout: Path, work: Path) -> dict[str, Path]:
    """The inputs `base` and `init` of a recipe's ingest, as far as its recipe asks for them.

    Args:
        sections: The recipe, untyped.
        checkout: Root of a project or of a run's clone.
        work: The recipe's work folder there.

    Raises:
        DataError: A folder or file that the recipe names is not there.
        UsageError: The checkpoint to start from was not brought yet.
    """
    inputs = base_folder(sections, checkout)
    place = init_place(sections, checkout, work)
    if place is not None and not place.is_dir():
        raise UsageError(
            f"base.init_from: {origin_of(sections)} is not in {place} yet. Start the stage with "
            "`voxmill run` or `voxmill launch`, which bring it there."
        )
    return inputs if place is None else {**inputs, INIT: place}


def base_folder(sections: Mapping[str, Any], checkout: Path) -> dict[str, Path]:
    """The input `base`, where `base.model` is a folder; nothing for a hub id, or without a base.

    Raises:
        DataError: It is not there.
    """
    model = _section(sections).get("model")
    if not model or is_hub_id(str(model)):
        return {}
    return {BASE: _existing("base.model", str(model), checkout, wanted=Path.is_dir)}


def origin_of(sections: Mapping[str, Any]) -> Origin | None:
    """What training starts from; None where that is nothing but the recipe's own model."""
    named = _section(sections).get("init_from")
    return parse_origin(str(named)) if named else None


def init_files(sections: Mapping[str, Any], checkout: Path) -> tuple[Path, ...]:
    """The files of a foreign checkpoint: itself, and its tokenizer where one is named.

    Raises:
        DataError: One is not there.
    """
    base = _section(sections)
    fields = {f"base.{key}": base.get(key) for key in ("init_from", "init_tokenizer")}
    return tuple(
        _existing(field, str(path), checkout, wanted=Path.is_file)
        for field, path in fields.items()
        if path
    )


def init_place(sections: Mapping[str, Any], checkout: Path, work: Path) -> Path | None:
    """Where the checkpoint to start from is brought to; None without one.

    Each origin has a place of its own, so that one is never taken for another.

    Raises:
        DataError: A foreign file is not there.
    """
    origin = origin_of(sections)
    if origin is None:
        return None
    if isinstance(origin, FileReference):
        paths = "\0".join(map(str, init_files(sections, checkout)))
        return work / INIT / "file" / hashlib.sha256(paths.encode()).hexdigest()[:16]
    if isinstance(origin, ReleaseReference):
        return work / INIT / "release" / origin.recipe / origin.version
    return work / INIT / "run" / origin.recipe / origin.id


def _section(sections: Mapping[str, Any]) -> Mapping[str, Any]:
    found = sections.get(BASE)
    return found if isinstance(found, Mapping) else {}


def _existing(field: str, named: str, checkout: Path, *, wanted: Any) -> Path:
    path = Path(os.path.normpath(data_root(checkout) / Path(named).expanduser()))
    if not wanted(path):
        raise DataError(
            f"{field}: {named!r} is not there: looked for {path}. Correct the recipe, or set "
            "VOXMILL_DATA to the folder that relative paths start from."
        )
    return path
