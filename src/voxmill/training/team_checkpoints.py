"""Checkpoints of several processes: process 0 writes them, all of them go on from the same one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxmill.training.checkpoint import (
    CheckpointStore,
    LoadedCheckpoint,
    SavedCheckpoint,
    load_checkpoint,
)
from voxmill.training.team import Team, first


class TeamCheckpoints:
    """A store that every process may ask; each method is called by all of them."""

    def __init__(self, folder: Path, store: CheckpointStore | None, team: Team) -> None:
        """Makes the other processes' view of process 0's store.

        Args:
            folder: Where the checkpoints lie.
            store: Process 0's; None in the others, which touch nothing.
            team: The processes.
        """
        self.folder = folder
        self._store = store
        self._team = team

    def save(self, step: int, state: Mapping[str, Any], *, best: bool = False) -> SavedCheckpoint:
        """See `CheckpointStore.save`; nobody goes on before it is on disk."""
        saved = None if self._store is None else self._store.save(step, state, best=best)
        written = first(self._team, saved)
        assert written is not None  # noqa: S101 -- process 0 has a store
        return written

    def newest_valid(self) -> LoadedCheckpoint | None:
        """See `CheckpointStore.newest_valid`."""
        found = None if self._store is None else self._store.newest_valid()
        folder = first(self._team, None if found is None else found.folder)
        if folder is None or found is not None:
            return found
        return load_checkpoint(folder)

    def forget_newer_best(self, step: int | None) -> bool:
        """See `CheckpointStore.forget_newer_best`."""
        there = self._store is not None and self._store.forget_newer_best(step)
        return first(self._team, there)
