"""Releases: a finished run becomes a version; rollback makes an earlier version the champion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from voxmill.errors import UsageError, VoxmillError
from voxmill.pipeline.gates import read_waivers, refuse_behind
from voxmill.pipeline.report import read_report
from voxmill.runs.execution import storage_of
from voxmill.runs.git import Git
from voxmill.runs.project import Project
from voxmill.runs.publishing import is_published, locked_outputs, publish
from voxmill.runs.registry import (
    RegisteredVersion,
    Registry,
    Version,
    next_version,
    open_registry,
    parse_version,
    version_name,
)
from voxmill.runs.run import Run
from voxmill.runs.state import DONE, read_state
from voxmill.runs.worker_lock import worker_lock

EVALUATE = "evaluate"
METRICS = "metrics.json"
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version of a recipe that `git checkout TAG && dvc pull` brings back, byte for byte."""

    tag: str
    """`digits@v0.1.0`."""
    version: str
    recipe: str
    commit: str
    figures: Mapping[str, JsonValue] = field(default_factory=dict)
    """The evaluate stage's metrics.json."""
    approved_by: str = ""
    """Who approved it, from its tag; empty where nobody was asked."""
    fresh: bool = True
    """False where no tag was added: the run is released already, or the champion has the same
    outputs."""


def release(
    project: Project, run: Run, version: str | None = None, *, approved_by: str = ""
) -> Release:
    """Releases a finished run: version tag and champion on its commit, pushed to the origin.

    Without a version, a run whose outputs equal the champion's makes no new one; asking twice for
    the same run gives the first answer again.

    Args:
        project: The project.
        run: The run.
        version: Such as `v1.0.0`; None: the next patch version, `v0.1.0` for the first.
        approved_by: Who approved it, for the tag; empty where nobody was asked.

    Raises:
        UsageError: A stage is missing or out of date, the version is taken or malformed, or
            another worker is at this run.
        GateRefused: A failed check is not waived.
        StorageFailed: The remote does not take the data.
        OriginUnreachable: The git origin does not answer.
    """
    wanted = parse_version(version) if version else None
    with worker_lock(run):
        _refuse_unfinished(run)
        _refuse_failed(run)
        if not is_published(run):
            publish(run, storage_of(run))
        commit = Git(run.folder).run("rev-parse", "HEAD")
        with open_registry(project) as registry:
            return _register(registry, run, commit, wanted, approved_by)


def rollback(project: Project, recipe: str, version: str) -> Release:
    """Makes an earlier version the champion again; no tag goes, one is added.

    Raises:
        UsageError: There is no such version, or it is the champion already.
        OriginUnreachable: The git origin does not answer.
    """
    wanted = parse_version(version)
    with open_registry(project) as registry:
        for _ in range(_TRIES):
            registry.refresh()
            known = registry.versions(recipe)
            found = next((each for each in known if each.number == wanted), None)
            if found is None:
                names = ", ".join(each.name for each in known) or "none"
                raise UsageError(
                    f"Recipe {recipe!r} has no release {version_name(wanted)}. There are: {names}."
                )
            if registry.champion(recipe) == found:
                raise UsageError(f"{recipe}@{found.name} is the champion already.")
            before = registry.tags()
            registry.assign(recipe, found.number)
            if registry.push_tags(before):
                return _released(registry, recipe, found, fresh=False)
    raise VoxmillError(_busy(project))


def measured(run: Run) -> dict[str, JsonValue]:
    """What the run's evaluate stage measured; empty where it measured nothing."""
    storage_of(run).pull(EVALUATE)
    file = run.output(EVALUATE) / METRICS
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def same_release(
    registry: Registry, run: Run, known: list[RegisteredVersion]
) -> RegisteredVersion | None:
    """The version that this run would not add to: its own, or a champion of the same outputs.

    Args:
        registry: Where champions stand.
        run: The run, as it is on this machine.
        known: The recipe's versions.
    """
    git = Git(run.folder)
    commit = git.run("rev-parse", "HEAD")
    mine = next((each for each in known if each.commit == commit), None)
    if mine is not None:
        return mine
    champion = registry.champion(run.recipe)
    if champion is None:
        return None
    same = locked_outputs(registry.git, champion.commit) == locked_outputs(git, commit)
    return champion if same else None


def _register(
    registry: Registry, run: Run, commit: str, wanted: Version | None, approved_by: str
) -> Release:
    for _ in range(_TRIES):
        registry.refresh(run.branch)
        known = registry.versions(run.recipe)
        there = _there_already(registry, run, commit, known, wanted)
        if there is not None:
            return _released(registry, run.recipe, there, fresh=False)
        version = wanted or next_version(known)
        before = registry.tags()
        registry.register(run.recipe, version, commit, measured(run), approved_by=approved_by)
        if registry.push_tags(before):
            return _released(registry, run.recipe, RegisteredVersion(version, commit), fresh=True)
    raise VoxmillError(_busy(registry.project))


def _there_already(
    registry: Registry,
    run: Run,
    commit: str,
    known: list[RegisteredVersion],
    wanted: Version | None,
) -> RegisteredVersion | None:
    mine = next((each for each in known if each.commit == commit), None)
    if mine is not None:
        if wanted not in {None, mine.number}:
            raise UsageError(
                f"Run {run.recipe}/{run.id} is released already, as {mine.name}; a commit has one "
                f"version. To use it: voxmill rollback {run.recipe} {mine.name}."
            )
        return mine
    if wanted is not None:
        taken = next((each for each in known if each.number == wanted), None)
        if taken is not None:
            raise UsageError(
                f"{run.recipe}@{taken.name} is there already, on commit {taken.commit[:10]}. "
                f"Leave --version out for {version_name(next_version(known))}."
            )
        return None
    return same_release(registry, run, known)


def _released(
    registry: Registry, recipe: str, version: RegisteredVersion, *, fresh: bool
) -> Release:
    return Release(
        tag=f"{recipe}@{version.name}",
        version=version.name,
        recipe=recipe,
        commit=version.commit,
        figures=registry.figures(recipe, version.name),
        approved_by=registry.approved_by(recipe, version.name),
        fresh=fresh,
    )


def _refuse_unfinished(run: Run) -> None:
    changed = Git(run.folder).run("status", "--porcelain=v1", "--untracked-files=no").splitlines()
    if changed:
        listed = ", ".join(line[3:] for line in changed)
        raise UsageError(
            f"Run {run.recipe}/{run.id} has uncommitted changes in {run.folder}: {listed}. A "
            f"release is a commit: finish the run (voxmill resume {run.id}) or undo them."
        )
    state = read_state(run.folder)
    outdated = set(storage_of(run).outdated())
    missing = [
        stage
        for stage in run.stages
        if stage in outdated or stage not in state or state[stage].outcome not in DONE
    ]
    if missing:
        raise UsageError(
            f"Run {run.recipe}/{run.id} is not finished: {', '.join(missing)} not up to date. "
            f"Finish it with: voxmill resume {run.id}"
        )


def _refuse_failed(run: Run) -> None:
    storage = storage_of(run)
    failed = [s for s, record in read_state(run.folder).items() if record.verdict == "failed"]
    for stage in failed:
        storage.pull(stage)
    refuse_behind(
        [read_report(run.output(stage)) for stage in failed],
        read_waivers(run.memory),
        run_id=run.id,
        wanted=f"The release of {run.name}",
    )


def _busy(project: Project) -> str:
    return (
        f"Others kept adding tags to {project.origin} at the same moment ({_TRIES} tries). "
        f"Start again."
    )
