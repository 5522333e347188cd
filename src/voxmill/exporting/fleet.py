"""All runs of VOXMILL_HOME: which of them are served, and what all of them amount to.

A run is served while it goes on, and for the retention after its last change. A run that has left
is a few numbers; its folder is looked into again only when that folder itself has changed, which
it does whenever a stage begins or ends.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from voxmill.exporting.activity import locked_inodes
from voxmill.exporting.run_reader import (
    RunReader,
    Surroundings,
    head_commit,
    last_time,
    parse_opened,
)
from voxmill.exporting.run_view import RunState, RunView
from voxmill.exporting.watched_file import Faults
from voxmill.observability.labels import STAGES
from voxmill.runs.run import RUN_FILE, Run
from voxmill.runs.state import DONE, read_state

USUAL_RUNS = 20
"""The newest so many finished runs tell how long a stage usually takes."""
_FINISHED = frozenset({"finished", "released"})


@dataclass(frozen=True, kw_only=True)
class _Past:
    """What stays of a run that is no longer read."""

    recipe: str
    folder: Path
    state: RunState
    opened: float
    last_change: float
    seconds: Mapping[str, float]
    """Time by stage, of those that ran in it."""
    commit: str | None = None
    """That a finished run ended at."""


@dataclass
class _Known:
    """A run's folder."""

    mark: int
    """Its modification time, in nanoseconds, when it was last looked into."""
    reader: RunReader | None
    """None once the run has left."""
    past: _Past | None = None
    quiet_since: float = 0.0
    """Its last change, or when that was first seen: a clock that was ahead must not keep it."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A finished run that is not released."""

    folder: Path
    """Its clone."""
    opened: float
    """Seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class RecipeView:
    """What all runs of a recipe on this machine amount to."""

    runs: Mapping[str, int]
    """Number by state."""
    last_opened: float
    """Seconds since 1970."""
    usual_seconds: Mapping[str, float]
    """Median time by stage in the newest finished runs."""
    candidate: Candidate | None = None
    """The newest finished run that is not released."""


@dataclass
class Fleet:
    """The runs below one folder.

    Attributes:
        runs: `VOXMILL_HOME/runs`; may be missing.
        retention_seconds: How long a run is served after its last change.
        faults: Where what cannot be read is counted.
        clock: Seconds since 1970.
    """

    runs: Path
    retention_seconds: float
    faults: Faults = field(default_factory=Faults)
    clock: Callable[[], float] = time.time
    released: frozenset[str] = frozenset()
    """Commits that have a version; whoever asks the registry sets it."""
    _known: dict[Path, _Known] = field(default_factory=dict)

    def look(self) -> list[RunView]:
        """The runs to be served as they stand now, in the order of recipe and id."""
        around = Surroundings(locked=locked_inodes(), released=self.released)
        found = dict(self._folders())
        for gone in self._known.keys() - found.keys():
            del self._known[gone]
        served = []
        for folder, mark in found.items():
            try:
                view = self._look_at(folder, mark, around)
            except Exception as error:  # noqa: BLE001  # one run must not blind it to the others
                self.faults.note("run", folder, error)
                continue
            if view is not None:
                served.append(view)
        return sorted(served, key=lambda view: (view.recipe, view.id))

    def recipes(self) -> Mapping[str, RecipeView]:
        """Every recipe that has a run, as of the last look."""
        past: dict[str, list[_Past]] = {}
        for known in self._known.values():
            if known.past is not None:
                past.setdefault(known.past.recipe, []).append(known.past)
        return {
            recipe: RecipeView(
                runs=Counter(self._state(one) for one in those),
                last_opened=max(one.opened for one in those),
                usual_seconds=_usual(those),
                candidate=self._candidate(those),
            )
            for recipe, those in sorted(past.items())
        }

    def _candidate(self, those: list[_Past]) -> Candidate | None:
        finished = [one for one in those if self._state(one) == "finished"]
        newest = max(finished, key=lambda one: one.opened, default=None)
        if newest is None:
            return None
        return Candidate(folder=newest.folder, opened=newest.opened)

    def _state(self, past: _Past) -> RunState:
        return "released" if past.commit in self.released else past.state

    def _look_at(self, folder: Path, mark: int, around: Surroundings) -> RunView | None:
        known = self._known.get(folder) or self._first_look(folder, mark)
        if known.reader is None and known.mark == mark:
            return None
        if known.reader is None:
            known.reader = self._reader(folder)
        view = known.reader.view(around)
        if view is None:
            self._known.pop(folder, None)
            return None
        self._remember(folder, mark, known, view)
        if view.state != "running" and self._is_over(known.quiet_since):
            known.reader = None
            return None
        return replace(view, journal=known.reader.journal())

    def _first_look(self, folder: Path, mark: int) -> _Known:
        """A run that ended long ago is never read any further than this."""
        try:
            past = _outline(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if (folder / RUN_FILE).exists():
                self.faults.note("run", folder, error)
            past = None
        if past is not None and self._is_over(past.last_change):
            known = _Known(mark=mark, reader=None, past=past, quiet_since=past.last_change)
            self._known[folder] = known
            return known
        return _Known(mark=mark, reader=self._reader(folder))

    def _remember(self, folder: Path, mark: int, known: _Known, view: RunView) -> None:
        before = known.past
        if before is None or (before.state, before.last_change) != (view.state, view.last_change):
            known.quiet_since = min(view.last_change, self.clock())
        known.past, known.mark = _past(view), mark
        self._known[folder] = known

    def _is_over(self, quiet_since: float) -> bool:
        return self.clock() - quiet_since > self.retention_seconds

    def _reader(self, folder: Path) -> RunReader:
        run = Run(folder.parent.name, folder.name, folder)
        return RunReader(run, self.faults, self.clock)

    def _folders(self) -> Iterator[tuple[Path, int]]:
        for recipe in _subfolders(self.runs):
            for entry in _subfolders(Path(recipe.path)):
                try:
                    yield Path(entry.path), entry.stat().st_mtime_ns
                except OSError:  # deleted since it was listed
                    continue


def _subfolders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if not e.name.startswith(".") and e.is_dir()]
    except OSError:
        return []


def _outline(folder: Path) -> _Past | None:
    """A finished run, from two small files; None for any other."""
    opened = parse_opened((folder / RUN_FILE).read_bytes())
    records = read_state(folder)
    if any(stage not in records or records[stage].outcome not in DONE for stage in STAGES):
        return None
    return _Past(
        recipe=folder.parent.name,
        folder=folder,
        state="finished",
        opened=opened,
        last_change=last_time(records, opened),
        seconds={
            stage: record.seconds
            for stage, record in records.items()
            if record.outcome == "executed" and record.seconds
        },
        commit=head_commit(folder),
    )


def _past(view: RunView) -> _Past:
    ran = {
        stage.name: stage.seconds
        for stage in view.stages
        if stage.state == "done" and not stage.restored and stage.seconds
    }
    return _Past(
        recipe=view.recipe,
        folder=view.folder,
        state=view.state,
        opened=view.opened,
        last_change=view.last_change,
        seconds=ran,
        commit=head_commit(view.folder) if view.state == "finished" else None,
    )


def _usual(past: list[_Past]) -> Mapping[str, float]:
    finished = sorted((p for p in past if p.state in _FINISHED), key=lambda p: p.opened)
    times: dict[str, list[float]] = {}
    for one in finished[-USUAL_RUNS:]:
        for stage, seconds in one.seconds.items():
            times.setdefault(stage, []).append(seconds)
    return {stage: statistics.median(found) for stage, found in sorted(times.items())}
