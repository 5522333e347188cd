"""The eight stages by name; light, so that `voxmill graph` and the command line can ask it."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from voxmill.errors import EngineMissing, UsageError

if TYPE_CHECKING:
    from voxmill.stages.stage import Stage

STAGES: dict[str, str] = {
    "ingest": "voxmill.stages.ingest:IngestStage",
    "audit": "voxmill.stages.audit:AuditStage",
    "verify": "voxmill.stages.verify:VerifyStage",
    "prepare": "voxmill.stages.prepare:PrepareStage",
    "probe": "voxmill.stages.probe:ProbeStage",
    "train": "voxmill.stages.train:TrainStage",
    "package": "voxmill.stages.package:PackageStage",
    "evaluate": "voxmill.stages.evaluate:EvaluateStage",
}
"""Where each stage's class stands, as `module:name`, in the order of the data's way."""

STAGE_VERSIONS: dict[str, int] = {
    "ingest": 1,
    "audit": 1,
    "verify": 1,
    "prepare": 1,
    "probe": 1,
    "train": 4,
    "package": 2,
    "evaluate": 2,
}
"""Raised whenever the same inputs would give another output; parameters of the stages in DVC."""

STAGE_SECTIONS: dict[str, tuple[str, ...]] = {
    "ingest": ("source", "base"),
    "audit": ("audit",),
    "verify": ("verify",),
    "prepare": ("prepare", "model", "family", "language"),
    "probe": ("probe", "model", "family"),
    "train": ("train", "model", "family"),
    "package": ("package", "model", "family", "title", "language", "source"),
    "evaluate": ("evaluate", "model", "family"),
}
"""Parts of the recipe that each stage reads: its parameters in DVC, and in its report."""


def load_stage(name: str) -> Stage:
    """An instance of the stage, with whatever it needs (torch, soundfile) imported.

    Raises:
        UsageError: There is no such stage.
        EngineMissing: A package that it needs is not installed.
    """
    if name not in STAGES:
        near = get_close_matches(name, STAGES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"No stage {name!r}; there are: {', '.join(STAGES)}.{hint}")
    module, _, attribute = STAGES[name].partition(":")
    try:
        stage: Stage = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("voxmill"):
            raise
        raise EngineMissing(
            f"Stage {name}: the package {error.name} is not installed here. "
            "Install what stages need: pip install 'voxmill[workshop]', or `make setup`."
        ) from error
    return stage
