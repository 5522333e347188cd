"""From a stage's name to its finished output: what `voxmill launch` and a run's worker do.

It reads pipeline.json and the recipe, never dvc.yaml: DVC is the caller's business.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from voxmill.errors import DataError, UsageError
from voxmill.launchers.jobs import JobFiles
from voxmill.launchers.launcher import Launcher, StageResult, StageRun
from voxmill.observability.log_context import log_context
from voxmill.pipeline.base_inputs import BASE, INIT, base_inputs
from voxmill.pipeline.gates import read_waivers, refuse_behind
from voxmill.pipeline.recipe_file import read_recipe_file, source_folders
from voxmill.pipeline.remembered import remember
from voxmill.pipeline.report import REPORT_FILE, check_output, read_report
from voxmill.pipeline.run_identity import run_of
from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot, StageSnapshot

logger = logging.getLogger(__name__)
SECONDS_PER_HOUR = 3600.0
NO_STAGES = frozenset({"memory", "source", BASE, INIT})
"""Inputs that no stage made, so that no report lies in them."""


def plan_stage(checkout: Path, recipe: str, stage: str, *, attempt: int | None = None) -> StageRun:
    """What is to be run, with every path resolved; starts and changes nothing.

    Args:
        checkout: Root of a project or of a run's clone.
        recipe: Name of the recipe.
        stage: Name of the stage.
        attempt: Number of this try; by default one more than the last that left a log.

    Raises:
        UsageError: Recipe, stage or an input folder is not there.
        DataError: A folder that the source names is not there.
    """
    checkout = checkout.absolute()
    bare = _without_inputs(checkout, recipe, stage, attempt)
    node = Snapshot.read(checkout / SNAPSHOT_FILE).stage(recipe, stage)
    return replace(bare, inputs=_inputs(checkout, bare, node))


def launch_stage(
    checkout: Path,
    recipe: str,
    stage: str,
    launcher: Launcher,
    attempt: int | None = None,
) -> StageResult:
    """Runs a stage and, where it ended well, puts its output and its memory lines in their place.

    A stage that ends with a failed gate has ended well: the next one is refused.

    Args:
        checkout: Root of a project or of a run's clone.
        recipe: Name of the recipe.
        stage: Name of the stage.
        launcher: Where it runs.
        attempt: Number of this try; by default one more than the last that left a log.

    Returns:
        How it ended; a stage's own failure is an exit code here, see `outcome.failure`.

    Raises:
        GateRefused: An earlier stage's check failed and nobody waived it.
        UsageError: Recipe, stage or an input folder is not there.
        DataError: A source folder is not there, or the output is incomplete.
        EngineMissing: The launcher cannot work here.
    """
    stage_run = plan_stage(checkout, recipe, stage, attempt=attempt)
    run = run_of(checkout, recipe).id
    log = stage_run.work / "logs" / f"{run}.log"
    with log_context(recipe=recipe, run=run, stage=stage, attempt=stage_run.attempt, log=log):
        _refuse_behind_gates(checkout, stage_run)
        result = launcher.run(stage_run)
        if result.exit_code == 0:
            _accept(checkout, stage_run)
    return result


def stop_stage(checkout: Path, recipe: str, stage: str, launcher: Launcher) -> None:
    """Asks the stage's running job to save and leave, with the grace that its `meta` gives."""
    stage_run = _without_inputs(checkout.absolute(), recipe, stage, None)
    launcher.stop(stage_run, grace_seconds=stage_run.grace_seconds)


def partial_of(out: Path) -> Path:
    """Where a stage writes until it has finished."""
    return out.with_name(f"{out.name}.partial")


def _out(checkout: Path, recipe: str, stage: str) -> Path:
    return checkout.absolute() / "artifacts" / recipe / stage


def stage_resources(node: StageSnapshot, sections: Mapping[str, Any]) -> dict[str, Any]:
    """The stage's `meta`, and over it what the recipe states (null states nothing)."""
    stated = sections.get("resources") or {}
    return {**node.meta, **{key: value for key, value in stated.items() if value is not None}}


def _without_inputs(checkout: Path, recipe: str, stage: str, attempt: int | None) -> StageRun:
    node = Snapshot.read(checkout / SNAPSHOT_FILE).stage(recipe, stage)
    recipe_file = checkout / "recipes" / f"{recipe}.yaml"
    resources = stage_resources(node, read_recipe_file(recipe_file))
    work = checkout / "work" / recipe
    hours = resources.get("timeout_hours")
    run = run_of(checkout, recipe)
    return StageRun(
        run=run.name,
        recipe=recipe,
        stage=stage,
        attempt=attempt or JobFiles(work, stage).next_attempt(),
        recipe_file=recipe_file,
        inputs={},
        out=partial_of(_out(checkout, recipe, stage)),
        work=work,
        grace_seconds=float(resources.get("grace_seconds") or 30.0),
        timeout_seconds=None if hours is None else float(hours) * SECONDS_PER_HOUR,
        resources={**resources, "commit": run.base_commit},
    )


def _inputs(checkout: Path, stage_run: StageRun, node: StageSnapshot) -> dict[str, Path]:
    inputs = {name: checkout / folder for name, folder in node.inputs.items()}
    for name, folder in inputs.items():
        if not folder.is_dir():
            remedy = (
                f"Write it with `voxmill sync {stage_run.recipe}`"
                if name == "memory"
                else f"Run stage {name} first, or bring it back with `dvc checkout`"
            )
            raise UsageError(
                f"Stage {stage_run.stage} of {stage_run.recipe} reads {folder}, which is not "
                f"there. {remedy}."
            )
    if node.meta.get("source_mount"):
        sections = read_recipe_file(stage_run.recipe_file)
        inputs |= source_folders(sections, checkout)
        inputs |= base_inputs(sections, checkout, stage_run.work)
    return inputs


def _refuse_behind_gates(checkout: Path, stage_run: StageRun) -> None:
    stages = [name for name in stage_run.inputs if name.partition(".")[0] not in NO_STAGES]
    refuse_behind(
        [read_report(stage_run.inputs[name]) for name in stages],
        read_waivers(checkout / "memory" / stage_run.recipe),
        run_id=run_of(checkout, stage_run.recipe).id,
        wanted=f"Stage {stage_run.stage} of {stage_run.recipe}",
    )


def _accept(checkout: Path, stage_run: StageRun) -> None:
    try:
        report = check_output(stage_run.out, recipe=stage_run.recipe, stage=stage_run.stage)
    except DataError:
        # Without a report it counts as unfinished, so that the next try does not collect it again.
        (stage_run.out / REPORT_FILE).unlink(missing_ok=True)
        raise
    out = _out(checkout, stage_run.recipe, stage_run.stage)
    _swap(stage_run.out, out)
    new = remember(out, checkout / "memory" / stage_run.recipe)
    logger.info(
        "Stage %s of %s: %s, %d checks, new memory lines: %s",
        *(stage_run.stage, stage_run.recipe, report.verdict, len(report.checks), new or "none"),
    )


def _swap(partial: Path, out: Path) -> None:
    """Puts a finished folder under its name; the old one is deleted last, as that may take long."""
    old = out.with_name(f"{out.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    if old.exists():
        shutil.rmtree(old)
