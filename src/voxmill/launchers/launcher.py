"""The port of a launcher: where a stage runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One try to run one stage of one run, as any launcher can carry it out."""

    run: str
    """Name of the run, such as `digits-20261121-034512`; with the stage it names the job."""
    recipe: str
    stage: str
    attempt: int
    """Counts the tries of this stage in this run, from 1."""
    recipe_file: Path
    inputs: Mapping[str, Path]
    """Input folders by name, read-only for the stage."""
    out: Path
    """Folder that the stage fills: `artifacts/<recipe>/<stage>.partial`; emptied before a new job
    starts, renamed by the caller."""
    work: Path
    """`work/<recipe>`: journal, checkpoints, logs, job files; survives tries."""
    grace_seconds: float = 30.0
    """Time between SIGTERM and SIGKILL."""
    timeout_seconds: float | None = None
    resources: Mapping[str, object] = field(default_factory=dict)
    """`meta` of the stage with the recipe's `resources` over it: image, gpus, network, …; and
    `commit`, where the run began."""


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """How a job ended."""

    exit_code: int
    """As in `voxmill.errors`; 124 after the time limit, 128 + n for a job that died of signal n."""
    seconds: float
    attached: bool = False
    """True where the job had been started by an earlier try."""
    cause: str = ""
    """What is known beyond the exit code, in words."""
    log: Path | None = None
    """What the job said."""
    max_rss_bytes: int = 0
    """Peak memory of the job's largest process; 0 where nobody measured."""


START_AGAIN = frozenset({75, 76, 124})
"""Exit codes of jobs that go on from a checkpoint when they are started again."""


class Launcher(Protocol):
    """Runs jobs that outlive the process that started them."""

    name: str

    def run(self, stage_run: StageRun) -> StageResult:
        """Runs the stage to its end, passing its log on; attaches to a job that is already there.

        A job of the same run and stage that still runs is attached to. One that has ended and
        whose result nobody took is collected, unless it has to be started again anyway (it
        checkpointed and left, ran out of time, was killed). Else a new job starts.

        Raises:
            EngineMissing: The engine, image, GPU or disk space is not there.
            UsageError: A job of the same name runs with another recipe or other inputs.
        """

    def attach(self, stage_run: StageRun) -> StageResult | None:
        """Follows the running job, or collects the result of the ended one; None without a job."""

    def stop(self, stage_run: StageRun, *, grace_seconds: float) -> None:
        """Asks the job to save and leave; kills it after the grace; returns without waiting."""
