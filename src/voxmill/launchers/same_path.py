"""Whether a worker in a container has VOXMILL_HOME under the same path as the host.

The engine takes mount sources as the host's paths. A worker that knows its runs under another path
would mount nothing, or something else; so the proxy, which may ask the engine about its own mount,
leaves a note in the folder, and workers read it before they start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from voxmill.errors import UsageError

NOTE = ".same-path-as-host"


def note_same_path(home: Path, container: Mapping[str, Any]) -> None:
    """Leaves the note, after a look at the mounts of this process's own container.

    Args:
        home: `VOXMILL_HOME` as this container has it.
        container: What the engine says of this container.

    Raises:
        UsageError: The home is no bind mount, or the host has it under another path.
    """
    for mount in container.get("Mounts") or []:
        target, source = PurePosixPath(mount["Destination"]), PurePosixPath(mount["Source"])
        if mount.get("Type") == "bind" and home.is_relative_to(target):
            on_host = source / home.relative_to(target)
            if on_host == PurePosixPath(home):
                (home / NOTE).write_text(f"{home}\n", "utf-8")
                return
            raise UsageError(
                f"VOXMILL_HOME={home}: the host has this folder at {on_host}. Mount it at the same "
                f"absolute path: containers of stages are given the host's paths."
            )
    raise UsageError(
        f"VOXMILL_HOME={home} is no bind mount of this container. Mount the host's folder at the "
        f"same absolute path."
    )


def check_same_path(home: Path) -> None:
    """Reads the note.

    Raises:
        UsageError: There is none, or it names another path.
    """
    note = home / NOTE
    found = note.read_text("utf-8").strip() if note.is_file() else ""
    if not home.is_absolute() or found != str(home):
        raise UsageError(
            f"VOXMILL_HOME={home}: expected one bind mount at the same absolute path on the host, "
            f"in the socket proxy and here; found {found or 'no note of the socket proxy in it'}. "
            f"Correct VOXMILL_HOME in .env and the mounts in docker-compose.yml."
        )
