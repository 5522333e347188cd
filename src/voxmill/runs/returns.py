"""How often in a row a stage came back (75, 76) with nothing to show for it; ends what is endless.

Airflow starts a stage that checkpointed and left, or lost its GPU, again and uses up no retry. With
a GPU that falls off the bus at every start, or a host that is drained before the first checkpoint,
that would go on for ever. A newer checkpoint is progress and starts the count anew; so does giving
up, because whoever clears the task then has looked at the machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxmill.errors import CheckpointedAndLeft, EngineMissing, GpuLost
from voxmill.runs.run import Run
from voxmill.runs.state import write_json

MOST_IN_VAIN = 5
_CHECKPOINT = re.compile(r"^step-(\d+)(?:\.(\d+))?$")


@contextmanager
def bounded_returns(run: Run, stage: str) -> Iterator[None]:
    """Lets a stage come back, but at most `MOST_IN_VAIN` times in a row without a newer checkpoint.

    Raises:
        CheckpointedAndLeft: As the stage did.
        GpuLost: As the stage did.
        EngineMissing: It came back too often without getting anywhere.
    """
    note = run.folder / ".git" / "voxmill-returns" / f"{stage}.json"
    try:
        yield
    except (CheckpointedAndLeft, GpuLost) as error:
        reached = newest_checkpoint(run)
        before = _read(note)
        in_vain = before[1] + 1 if before and before[0] == reached else 1
        if in_vain > MOST_IN_VAIN:
            note.unlink(missing_ok=True)
            raise EngineMissing(_reason(run, stage, reached, error)) from error
        write_json(note, {"reached": reached, "in_vain": in_vain})
        raise
    note.unlink(missing_ok=True)


def newest_checkpoint(run: Run) -> str:
    """Name of the newest checkpoint, such as `step-00000200`; empty where there is none."""
    folder = run.folder / "work" / run.recipe / "checkpoints"
    names = [path.name for path in folder.glob("step-*") if _CHECKPOINT.match(path.name)]
    return max(names, key=_order, default="")


def _order(name: str) -> tuple[int, int]:
    found = _CHECKPOINT.match(name)
    return (int(found[1]), int(found[2] or 0)) if found else (-1, 0)


def _read(note: Path) -> tuple[str, int] | None:
    if not note.is_file():
        return None
    values = json.loads(note.read_text("utf-8"))
    return values["reached"], values["in_vain"]


def _reason(run: Run, stage: str, reached: str, error: Exception) -> str:
    what = "lost its GPU" if isinstance(error, GpuLost) else "was asked to leave"
    where = f"the newest checkpoint is still {reached}" if reached else "there is no checkpoint"
    return (
        f"Stage {stage} of {run.recipe}/{run.id} {what} {MOST_IN_VAIN + 1} times in a row and got "
        f"nowhere: {where}. Look at the machine (`nvidia-smi`, its kernel log, who drains it) or "
        f"let it save more often (`train.checkpoint_every_steps`), then clear the task. "
        f"Last: {error}"
    )
