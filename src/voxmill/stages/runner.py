"""Runs one stage: checks its folders, watches signals, translates failures, writes the report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voxmill.errors import UsageError
from voxmill.observability.journal import JournalRecorder
from voxmill.recipe.recipe import Recipe
from voxmill.stages import machine
from voxmill.stages.catalogue import STAGE_SECTIONS, load_stage
from voxmill.stages.failures import translate
from voxmill.stages.interrupt import stop_flag
from voxmill.stages.report import (
    CheckResult,
    StageReport,
    input_digests,
    output_files,
    write_report,
)
from voxmill.stages.stage import Shard, Stage, StageContext, StageOutcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StageOrder:
    """What is to be run, on what, and where to."""

    stage: str
    recipe: Recipe
    inputs: Mapping[str, Path]
    """Input folders by name; they are read only."""
    out: Path
    """Missing or empty; the stage fills it."""
    work: Path
    """Survives tries; made if it is missing."""
    shard: Shard = field(default_factory=Shard)
    attempt: int = 1
    """Counts the tries of this stage in this run, from 1."""


def run_stage(
    order: StageOrder,
    *,
    load: Callable[[str], Stage] = load_stage,
    clock: Callable[[], float] = time.perf_counter,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    stop_requested: Callable[[], bool] = lambda: False,
) -> StageReport:
    """Runs the stage to its end; its report is the last file that it writes.

    A failed check is no failure of the stage: it is in the report, and whoever starts the next
    stage decides.

    Args:
        order: What to run.
        load: Gives the stage of a name.
        clock: Seconds, monotonic.
        now: The date and time.
        stop_requested: Whether somebody asks it to stop, besides by a signal.

    Raises:
        UsageError: A folder is missing, not empty, or inside another one.
        CheckpointedAndLeft: The stage was asked to stop and has saved.
        EngineMissing: Disk or memory was too small, or a library is missing.
        GpuLost: The GPU went away.
        VoxmillError: As the stage itself has it.
    """
    _check_folders(order)
    for folder in (order.out, order.work):
        folder.mkdir(parents=True, exist_ok=True)
    started, start = now(), clock()
    logger.info("%s of %s, try %d: started", order.stage, order.recipe.name, order.attempt)
    try:
        stage = load(order.stage)
        outcome = _run(stage, order, clock, stop_requested)
        report = _report(stage, order, outcome, started=started, seconds=clock() - start)
        write_report(order.out, report)
    except Exception as error:
        failure = translate(error, stage=order.stage, out=order.out, work=order.work)
        if failure is None:
            raise
        raise failure from error
    _log_end(report)
    return report


def _run(
    stage: Stage, order: StageOrder, clock: Callable[[], float], asked: Callable[[], bool]
) -> StageOutcome:
    journal = order.work / "journal"
    with stop_flag() as stop, JournalRecorder(journal, attempt=order.attempt) as recorder:
        return stage.run(
            StageContext(
                recipe=order.recipe,
                inputs=order.inputs,
                out=order.out,
                work=order.work,
                recorder=recorder,
                shard=order.shard,
                stop_requested=lambda: stop() or asked(),
                clock=clock,
            )
        )


def _report(
    stage: Stage,
    order: StageOrder,
    outcome: StageOutcome,
    *,
    started: datetime,
    seconds: float,
) -> StageReport:
    values: dict[str, Any] = order.recipe.model_dump(mode="json")
    sections = STAGE_SECTIONS.get(order.stage, ())
    return StageReport(
        stage=order.stage,
        recipe=order.recipe.name,
        version=stage.version,
        verdict=outcome.verdict,
        checks=tuple(CheckResult(**asdict(check)) for check in outcome.checks),
        figures=dict(outcome.figures),
        config={name: values[name] for name in sections},
        inputs=input_digests(order.inputs),
        outputs=output_files(order.out),
        versions=machine.versions(),
        machine=machine.machine(),
        shard=f"{order.shard.index}/{order.shard.count}",
        attempt=order.attempt,
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        peak_memory_bytes=machine.peak_memory_bytes(),
    )


def _check_folders(order: StageOrder) -> None:
    for name, folder in sorted(order.inputs.items()):
        if not folder.is_dir():
            raise UsageError(
                f"Input {name}: no folder at {folder}. Give --in {name}=DIR with one that is there."
            )
    for option, folder in (("--out", order.out), ("--work", order.work)):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{option}: {folder} is a file; expected a folder or nothing there.")
    for name, folder in (*sorted(order.inputs.items()), ("work", order.work)):
        if _overlap(folder, order.out):
            raise UsageError(
                f"--out {order.out} and {name} ({folder}) lie one in the other; "
                "a stage writes into a folder of its own."
            )
    there = sorted(path.name for path in order.out.iterdir()) if order.out.is_dir() else []
    if there:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        raise UsageError(
            f"--out {order.out} is not empty: found {', '.join(there[:3])}{more}. A stage fills an "
            "empty folder: remove what an earlier try left there, or name another one."
        )


def _overlap(one: Path, other: Path) -> bool:
    first, second = one.resolve(), other.resolve()
    return first == second or first in second.parents or second in first.parents


def _log_end(report: StageReport) -> None:
    logger.info(
        "%s of %s: %s in %.1f s, %d files, %.0f MB of memory at most",
        report.stage,
        report.recipe,
        report.verdict,
        report.seconds,
        len(report.outputs),
        report.peak_memory_bytes / 1e6,
    )
    for check in report.failed_checks:
        logger.warning("%s: %s; limit: %s. %s", check.name, check.value, check.limit, check.help)
