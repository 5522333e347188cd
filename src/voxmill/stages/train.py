"""The stage train: the family's model, the loop, and the best and last checkpoints."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from rich.console import Console

from voxmill.corpus.manifest import read_lines, write_json
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import TrainingFailed
from voxmill.families.catalogue import load_family
from voxmill.families.family import Family, TrainingKit
from voxmill.observability.curves import JournalLine, read_journal, write_curves
from voxmill.recipe.recipe import Recipe
from voxmill.stages.machine import peak_memory_bytes
from voxmill.stages.stage import StageContext, StageOutcome
from voxmill.stages.training.checks import training_checks
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.distributed import team_here
from voxmill.training.durable import sha256_of
from voxmill.training.loop import Training, TrainingResult, train
from voxmill.training.progress import UNSEEN, progress_for
from voxmill.training.randomness import own_randomness, seed_everything
from voxmill.training.team import Team
from voxmill.training.team_checkpoints import TeamCheckpoints

_CURVES = frozenset(
    {"loss", "ctc_loss", "attention_loss", "learning_rate", "gradient_norm", "epoch", "best_value"}
)
CHECKPOINTS = "checkpoints"
"""Folder in the work folder."""

_NO_CHANGE_OF_RESULT = frozenset(
    {
        *("threads", "keep_checkpoints", "checkpoint_every_steps", "log_every_steps"),
        *("watchdog", "milestones"),
    }
)


class TrainStage:
    """Writes `best/`, `last/` and `curves.jsonl`; goes on from `work/checkpoints`."""

    name = "train"
    version = 4

    def __init__(self, families: Callable[[str], Family] = load_family) -> None:
        self._families = families

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`.

        Raises:
            CheckpointedAndLeft: Asked to stop; a checkpoint was written first.
            DataError: Prepare's output cannot be read, or a split is empty.
            EngineMissing: A checkpoint could not be written.
            TrainingFailed: The loss, or the watched value at every evaluation, was not finite; or
                the watchdog ended the training.
            UsageError: The learner does not measure what `train.watch` names.
        """
        recipe, prepared = context.recipe, context.input("prepare")
        team = team_here()
        family = self._families(recipe.family)
        _settle_torch(recipe, team)
        kit = family.kit(
            prepared=prepared,
            utterances=read_lines(prepared / "utterances.jsonl", PreparedUtterance),
            model=recipe.model,
            train=recipe.train,
            stop=context.stop_requested,
        )
        own_randomness(recipe.train.seed, team)
        store = None if team.rank else _store(context, family.version)
        result = train(_training(context, kit, store, team))
        memory = max(team.gather(_peak_memory_bytes()))
        if store is None:
            return StageOutcome()  # the first process writes
        _record_end(context, result, kit.notes, memory)
        for name, account in kit.accounts.items():
            write_json(context.out / f"{name}.json", account)
        sizes = _export(store, result, recipe.train.watch, context.out)
        _write_curves(context, result)
        return StageOutcome(
            checks=training_checks(result, recipe.train.watch),
            figures={
                **_figures(result, kit.notes),
                **sizes,
                "peak_memory_bytes": memory,
                "processes": team.size,
            },
        )


def training_identity(recipe: Recipe, family_version: int, prepared: Path) -> str:
    """A fingerprint of all that a training's result depends on; a checkpoint carries it.

    Args:
        recipe: Its `train` and `model` sections count, but for what changes no weight.
        family_version: Of the family's code.
        prepared: Prepare's output. Its report names every file's hash; without a report (a stage
            started by hand) the manifest of utterances stands for the data.
    """
    report = prepared / "report.json"
    data: Any
    if report.is_file():
        data = json.loads(report.read_text(encoding="utf-8")).get("outputs")
    else:
        data = sha256_of(prepared / "utterances.jsonl")
    content = {
        "data": data,
        "family": [recipe.family, family_version],
        "model": _told(recipe.model.model_dump(mode="json")),
        "train": recipe.train.model_dump(mode="json", exclude=set(_NO_CHANGE_OF_RESULT)),
    }
    measured = sorted(milestone.after_epochs for milestone in recipe.train.milestones)
    if measured:  # they may add evaluations, which pick the best checkpoint; limits pick nothing
        content["measured_after_epochs"] = measured
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _told(model: dict[str, Any]) -> dict[str, Any]:
    """Without an input that says what goes without saying, as checkpoints from before have it."""
    plain = model.get("input") == {"kind": "audio"}
    return {name: value for name, value in model.items() if not (plain and name == "input")}


def _settle_torch(recipe: Recipe, team: Team) -> None:
    threads = recipe.train.threads
    if threads is None and team.size > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // team.size)
    if threads is not None:
        torch.set_num_threads(threads)
    seed_everything(recipe.train.seed)


def _store(context: StageContext, family_version: int) -> CheckpointStore:
    recipe = context.recipe
    return CheckpointStore(
        context.work / CHECKPOINTS,
        recipe.train.keep_checkpoints,
        identity=training_identity(recipe, family_version, context.input("prepare")),
    )


def _training(
    context: StageContext, kit: TrainingKit, store: CheckpointStore | None, team: Team
) -> Training:
    return Training(
        learner=kit.learner,
        batches=kit.batches,
        validation=kit.validation,
        config=context.recipe.train,
        checkpoints=TeamCheckpoints(context.work / CHECKPOINTS, store, team),
        recorder=context.recorder,
        stop_requested=context.stop_requested,
        clock=context.clock,
        progress=UNSEEN
        if store is None
        else progress_for(
            Console(stderr=True),
            context.clock,
            every_steps=context.recipe.train.log_every_steps,
        ),
        team=team,
    )


def _export(
    store: CheckpointStore, result: TrainingResult, watch: str, out: Path
) -> dict[str, JsonValue]:
    if result.best_step is None:
        raise TrainingFailed(
            f"The watched {watch} was not finite at any of the evaluations up to step "
            f"{result.steps}, so there is no best checkpoint. Look at the validation figures in "
            f"the journal; lower train.learning_rate or lengthen train.warmup_steps."
        )
    store.export("best", out / "best")
    return {"checkpoint_bytes": store.export("latest", out / "last").bytes}


def _write_curves(context: StageContext, result: TrainingResult) -> None:
    """Writes what was learned when; times and rates stay in the journal.

    Without them a training that was killed and resumed leaves the same file as one that was not.
    """
    context.recorder.flush()
    lines = [_learning(line) for line in read_journal(context.work / "journal")]
    write_curves(
        (line for line in lines if line.values and line.step <= result.steps),
        context.out / "curves.jsonl",
    )


def _learning(line: JournalLine) -> JournalLine:
    if line.labels:
        wanted = line.labels.get("split") == "validation"
        values = {k: v for k, v in line.values.items() if wanted and not k.endswith("_seconds")}
    else:
        values = {k: v for k, v in line.values.items() if _is_learning_curve(k)}
    return replace(line, values=values)


def _is_learning_curve(name: str) -> bool:
    prefix = "voxmill_train_"
    return name.startswith(prefix) and name.removeprefix(prefix) in _CURVES


def _figures(result: TrainingResult, notes: Mapping[str, float]) -> dict[str, JsonValue]:
    return {
        **{name: round(value, 6) for name, value in notes.items()},
        "steps": result.steps,
        "epochs": round(result.epochs, 4),
        "ending": result.ending,
        "seconds": round(result.seconds, 3),
        "first_value": _plain(result.first_value),
        "best_value": _plain(result.best_value),
        "best_step": result.best_step,
        "last_value": _plain(result.last_value),
        "resumed_from": result.resumed_from,
        "skipped_updates": result.skipped_updates,
        "infinite_losses": result.infinite_losses,
    }


def _plain(value: float | None) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None


def _record_end(
    context: StageContext, result: TrainingResult, notes: Mapping[str, float], memory: int
) -> None:
    values: dict[str, float] = {"voxmill_train_peak_memory_bytes": memory}
    for name in ("parameters", "skipped_utterances", "truncated_utterances"):
        if name in notes:
            values[f"voxmill_train_{name}"] = notes[name]
    context.recorder.record(values, step=result.steps)


def _peak_memory_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return peak_memory_bytes()
