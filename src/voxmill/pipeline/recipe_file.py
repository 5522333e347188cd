"""The little that the office reads in a recipe file: where its data lies, what it needs.

The recipe's types belong to the workshop; by the time a stage starts, the file has been checked
against them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from voxmill.errors import DataError, UsageError

PROJECT_KEY = "voxmill.project"
"""In a run's git config: the project that the run was cloned from."""


def read_recipe_file(path: Path) -> dict[str, Any]:
    """The sections of a recipe file, untyped.

    Raises:
        UsageError: There is no such file, or it is no YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"No recipe at {path}. Recipes are the files in recipes/.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected sections, found {type(values).__name__}.")
    return values


def source_folders(recipe: Mapping[str, Any], checkout: Path) -> dict[str, Path]:
    """The folders with recordings that a recipe names, by the input name that ingest knows.

    `source` for a single source, `source.<part>` for each part of a mixture; nothing for sources
    without a folder. Relative paths start at VOXMILL_DATA, else at the project that a run was
    cloned from, else at the checkout.

    Raises:
        DataError: A folder is not there.
    """
    source = recipe.get("source") or {}
    paths = {f"source.{part}": entry for part, entry in (source.get("parts") or {}).items()}
    named = {
        name: entry["path"]
        for name, entry in {"source": source, **paths}.items()
        if isinstance(entry, Mapping) and entry.get("path")
    }
    if not named:
        return {}
    base = data_root(checkout)
    return {name: _existing(name, Path(path), base) for name, path in named.items()}


def data_root(checkout: Path) -> Path:
    """Where relative source paths start."""
    if os.environ.get("VOXMILL_DATA"):
        return Path(os.environ["VOXMILL_DATA"]).absolute()
    asked = subprocess.run(
        ["git", "-C", str(checkout), "config", "--get", PROJECT_KEY],
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(asked.stdout.strip() or checkout).absolute()


def _existing(name: str, path: Path, base: Path) -> Path:
    folder = Path(os.path.normpath(base / path.expanduser()))
    if not folder.exists():
        key = f"source.parts.{name.partition('.')[2]}.path" if "." in name else "source.path"
        raise DataError(
            f"{key}: {str(path)!r} is not there: looked for {folder}. Correct the recipe, or set "
            "VOXMILL_DATA to the folder that relative paths start from."
        )
    return folder
