"""A run: one pass of one recipe, a branch in its own clone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from voxmill.errors import UsageError
from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot, StageSnapshot
from voxmill.runs.project import Project

RUN_FILE = "run.json"
_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class Run:
    """One pass of one recipe."""

    recipe: str
    id: str
    folder: Path
    """Its clone."""

    @property
    def name(self) -> str:
        """As jobs and containers are named: `digits-20261121-034512`."""
        return f"{self.recipe}-{self.id}"

    @property
    def branch(self) -> str:
        """Its branch: `run/digits/20261121-034512`."""
        return f"run/{self.recipe}/{self.id}"

    @property
    def recipe_file(self) -> Path:
        """The recipe as this run has it, overrides written in."""
        return self.folder / "recipes" / f"{self.recipe}.yaml"

    @property
    def stages(self) -> Mapping[str, StageSnapshot]:
        """Its stages in the order in which they can run.

        Raises:
            UsageError: pipeline.json does not know the recipe.
        """
        known = Snapshot.read(self.folder / SNAPSHOT_FILE).recipes
        if self.recipe not in known:
            raise UsageError(
                f"{SNAPSHOT_FILE} does not know the recipe {self.recipe!r}; it has: "
                f"{', '.join(known) or 'none'}. Add it to dvc.yaml, then `voxmill graph`."
            )
        return known[self.recipe].stages

    def upstream(self, stage: str) -> tuple[str, ...]:
        """Names of the stages that this one reads.

        Raises:
            UsageError: There is no such stage.
        """
        if stage not in self.stages:
            raise UsageError(
                f"Recipe {self.recipe} has no stage {stage!r}; there are: {', '.join(self.stages)}."
            )
        return self.stages[stage].upstream

    def output(self, stage: str) -> Path:
        """Folder of a stage's output."""
        return self.folder / "artifacts" / self.recipe / stage

    @property
    def log(self) -> Path:
        """All events of the run, its worker's and its stages', as JSON lines."""
        return self.folder / "work" / self.recipe / "logs" / f"{self.id}.log"

    @property
    def memory(self) -> Path:
        """The run's copy of what its recipe remembers."""
        return self.folder / "memory" / self.recipe


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """`run.json`: how a run began; never changed afterwards."""

    recipe: str
    id: str
    airflow_run_id: str | None
    base_commit: str
    """Commit of the project that the run started from."""
    voxmill: str
    """Version of voxmill that opened it."""
    overrides: Mapping[str, object] = field(default_factory=dict)
    dirty: tuple[str, ...] = ()
    """Uncommitted files that travelled with the run."""
    created: str
    """UTC, ISO 8601."""
    user: str
    """Name and address as git knows them."""

    def write(self, folder: Path) -> None:
        """Writes `run.json`."""
        (folder / RUN_FILE).write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Reads `run.json` of a run's clone."""
        values = cast("dict[str, Any]", json.loads((folder / RUN_FILE).read_text()))
        return cls(**values | {"dirty": tuple(values["dirty"])})


def check_id(run_id: str) -> str:
    """The id itself, if it can be part of a branch name.

    Raises:
        UsageError: It holds anything but small letters, digits and inner dashes.
    """
    if not _ID.fullmatch(run_id):
        raise UsageError(
            f"Run id {run_id!r}: only small letters, digits and dashes inside, such as "
            f"{slug(run_id) or 'first-try'!r}."
        )
    return run_id


def slug(text: str) -> str:
    """A run id from any text, such as Airflow's `manual__2026-11-21T03:00:00+00:00`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def list_runs(project: Project, recipe: str | None = None) -> list[Run]:
    """Runs on this machine, the newest last."""
    found = [
        Run(file.parent.parent.name, file.parent.name, file.parent)
        for file in project.runs.glob(f"{recipe or '*'}/*/{RUN_FILE}")
        if not file.parent.name.startswith(".")
    ]
    return sorted(found, key=lambda run: (RunRecord.read(run.folder).created, run.name))


def find_run(project: Project, name: str) -> Run:
    """The run of that name: `ID`, `digits/ID` or `digits-ID`.

    Raises:
        UsageError: No run on this machine has that name, or several recipes have one.
    """
    found = [
        run
        for run in list_runs(project)
        if name in {run.id, run.name, f"{run.recipe}/{run.id}", run.branch}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{run.recipe}/{run.id}" for run in found)
        raise UsageError(f"Run {name!r} is one of several: {names}. Name it with its recipe.")
    newest = ", ".join(f"{run.recipe}/{run.id}" for run in list_runs(project)[-5:]) or "none"
    raise UsageError(
        f"Run {name!r} is not in {project.runs}; the newest there: {newest}. "
        f"`voxmill runs` lists them all."
    )
