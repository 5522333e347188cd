"""What a stage wants remembered: its `memory/*.jsonl` lines join those of the recipe."""

from __future__ import annotations

import os
from pathlib import Path


def remember(out: Path, memory: Path) -> dict[str, int]:
    """Appends the lines in `out/memory/*.jsonl` that `memory` does not have yet.

    Doing it twice adds nothing the second time. A file is replaced as a whole, so a reader sees it
    before or after, never between.

    Args:
        out: A finished stage's output folder.
        memory: The folder `memory/<recipe>`.

    Returns:
        How many lines were new, by file name.
    """
    return {
        path.name: _append_new(path, memory / path.name)
        for path in sorted((out / "memory").glob("*.jsonl"))
    }


def _append_new(source: Path, target: Path) -> int:
    known = _lines(target)
    already = set(known)
    new = list(dict.fromkeys(line for line in _lines(source) if line not in already))
    if new:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in [*known, *new])
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    return len(new)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line for line in path.read_text("utf-8").split("\n") if line.strip()]
