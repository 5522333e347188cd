"""Which run a checkout belongs to."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from voxmill.errors import UsageError

RUN_FILE = "run.json"
MANUAL = "manual"


class RunIdentity(BaseModel):
    """The part of a run's run.json that names it."""

    model_config = ConfigDict(frozen=True)

    recipe: str
    id: str
    base_commit: str = ""
    """Commit of the project that the run began at; empty for nobody's run."""

    @property
    def name(self) -> str:
        """`<recipe>-<id>`: what jobs and containers are named after."""
        return f"{self.recipe}-{self.id}"


def run_of(checkout: Path, recipe: str) -> RunIdentity:
    """The run of a checkout; `manual` where it is nobody's run.

    Raises:
        UsageError: run.json is malformed, or the checkout belongs to another recipe's run.
    """
    path = checkout / RUN_FILE
    if not path.is_file():
        return RunIdentity(recipe=recipe, id=MANUAL)
    try:
        run = RunIdentity.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{path} names no run: {error.errors()[0]['msg']}.") from error
    if run.recipe != recipe:
        raise UsageError(
            f"{checkout} is run {run.id} of {run.recipe}, not of {recipe}. "
            f"Start {recipe} in the project or in a run of its own: `voxmill run {recipe}`."
        )
    return run
