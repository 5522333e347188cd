"""What training begins with, carried on from ingest, so that later stages need prepare only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CARRIED = ("base", "init", "base.json")
"""What ingest's section `base` gave; each is there only where the recipe asked for it."""
_IMPORTED = Path("init") / "tokenizer"


def carry_on(ingest: Path, out: Path) -> bool:
    """Puts the same files into another output; on one disk they take no more room.

    Returns:
        Whether there were any.
    """
    for name in CARRIED:
        source = ingest / name
        if source.is_dir():
            shutil.copytree(source, out / name, copy_function=_link_or_copy)
        elif source.is_file():
            _link_or_copy(source, out / name)
    return any((out / name).exists() for name in CARRIED)


def imported_tokenizer(out: Path) -> Path | None:
    """The tokenizer that came with a checkpoint; None where there is none."""
    return out / _IMPORTED if (out / _IMPORTED).is_dir() else None


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # two disks or two mounts, or a file of somebody else's
        shutil.copyfile(source, target)
