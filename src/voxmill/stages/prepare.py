"""The stage prepare: texts normalised, splits made, tokenizer trained, samples in shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue

from voxmill.corpus.feature_shards import SHARDS_FOLDER, FeatureShardReader, FeatureShardWriter
from voxmill.corpus.features import FeatureShape, read_shape, write_settings
from voxmill.corpus.manifest import write_json, write_lines
from voxmill.corpus.shards import ShardWriter
from voxmill.corpus.splits import TRAIN
from voxmill.corpus.statistics import Amount
from voxmill.corpus.utterance import PreparedUtterance, RejectedUtterance
from voxmill.families.catalogue import load_family
from voxmill.families.family import Family
from voxmill.signal.standardise import measured
from voxmill.stages.preparation.carried_on import carry_on, imported_tokenizer
from voxmill.stages.preparation.gate import Counted, checks
from voxmill.stages.preparation.material import Material, read_material
from voxmill.stages.preparation.recordings import (
    ModelDemands,
    Prepared,
    decoded,
    read_arrays,
    write_shards,
)
from voxmill.stages.sample_rate import sample_rate_of
from voxmill.stages.stage import StageContext, StageOutcome
from voxmill.stages.stopping import until_stopped

_MEGABYTE = 10**6


class PrepareStage:
    """Writes shards, tokenizer, manifests, split figures, and what memory has to learn.

    Files: `shards/`, `tokenizer/`, `utterances.jsonl`, `skipped.jsonl`, `splits.json`, and
    `memory/splits.jsonl` with the lines that memory does not have yet; `base/`, `init/` and
    `base.json` as ingest has them. Of features also `features.json`: mean and deviation of each
    dimension over the training split.
    """

    name = "prepare"
    version = 1

    def __init__(self, families: Callable[[str], Family] = load_family) -> None:
        self._families = families

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`.

        Raises:
            DataError: Earlier outputs are damaged, nothing is left to train on, or base model or
                checkpoint are not for this model.
            CheckpointedAndLeft: Asked to stop.
        """
        config = context.recipe.prepare
        family = self._families(context.recipe.family)
        if carry_on(context.input("ingest"), context.out):
            family.check_start(context.out, context.recipe.model)
        material = read_material(
            context.input("audit"), context.input("memory"), text=config.text, by=config.split
        )
        demands = _demands(family, context, material)
        shape = read_shape(context.input("ingest"))
        found = _sharded(context, material, demands, shape)
        prepared = [one for one in found if isinstance(one, PreparedUtterance)]
        skipped = [*material.skipped, *(o for o in found if isinstance(o, RejectedUtterance))]
        skipped.sort(key=lambda one: one.id)
        by_split = _by_split(prepared, demands.sample_rate_hz)
        _write(context.out, prepared, skipped, material)
        write_json(context.out / "splits.json", by_split)
        if shape is not None:
            _measure(context, [one for one in prepared if one.split == TRAIN], shape)
        counted = Counted(
            prepared=prepared,
            skipped=len(skipped),
            audio_sha256={one.id: one.audio_sha256 for one in material.utterances},
        )
        return StageOutcome(
            checks=checks(counted, config),
            figures={
                **{name: _without_names(of) for name, of in by_split.items()},
                "skipped": len(skipped),
                "new_in_memory": len(material.new_lines),
                "sample_rate_hz": demands.sample_rate_hz,
            },
        )


def _demands(family: Family, context: StageContext, material: Material) -> ModelDemands:
    """Trains the tokenizer on training texts alone, and encodes all texts with it."""
    model, tokenizer = context.recipe.model, context.out / "tokenizer"
    imported = imported_tokenizer(context.out)
    family.tokenizer(material.training_texts, model, tokenizer, imported=imported)
    ids = [one.id for one in material.utterances]
    labels = family.encode(tokenizer, [material.texts[i] for i in ids])
    return ModelDemands(
        sample_rate_hz=sample_rate_of(model),
        labels=dict(zip(ids, labels, strict=True)),
        frames=lambda seconds: family.frames(seconds, model),
    )


def _sharded(
    context: StageContext, material: Material, demands: ModelDemands, shape: FeatureShape | None
) -> list[Prepared]:
    ingest, folder = context.input("ingest"), context.out / SHARDS_FOLDER
    max_bytes = context.recipe.prepare.shard_megabytes * _MEGABYTE
    writer: ShardWriter | FeatureShardWriter
    if shape is None:
        recordings = decoded(material.utterances, ingest, int(demands.sample_rate_hz))
        writer = ShardWriter(folder, max_bytes=max_bytes)
    else:
        recordings = read_arrays(material.utterances, ingest, shape)
        writer = FeatureShardWriter(folder, dimensions=shape.dimensions, max_bytes=max_bytes)
    with writer:
        steps = until_stopped(recordings, context, stage=PrepareStage.name)
        return write_shards(steps, material, demands, writer)


def _measure(
    context: StageContext, training: Sequence[PreparedUtterance], shape: FeatureShape
) -> None:
    """Mean and deviation of what is trained on; the other splits must not be looked at."""
    reader = FeatureShardReader(context.out / SHARDS_FOLDER, dimensions=shape.dimensions)
    arrays = until_stopped(map(reader.samples, training), context, stage=PrepareStage.name)
    write_settings(context.out, measured(arrays, **shape.model_dump()))


def _write(
    out: Path,
    prepared: Sequence[PreparedUtterance],
    skipped: Sequence[RejectedUtterance],
    material: Material,
) -> None:
    write_lines(out / "utterances.jsonl", prepared)
    write_lines(out / "skipped.jsonl", skipped)
    write_lines(out / "memory" / "splits.jsonl", material.new_lines)


def _by_split(
    prepared: Sequence[PreparedUtterance], sample_rate_hz: float
) -> dict[str, dict[str, JsonValue]]:
    """Utterances, hours and speakers of each split."""
    groups: dict[str, list[PreparedUtterance]] = defaultdict(list)
    for one in prepared:
        groups[one.split].append(one)
    return {
        name: {
            **Amount.of([one.samples / sample_rate_hz for one in group]).model_dump(),
            "speakers": list[JsonValue](sorted({one.speaker for one in group})),
        }
        for name, group in sorted(groups.items())
    }


def _without_names(split: dict[str, JsonValue]) -> dict[str, JsonValue]:
    names = split["speakers"]
    return {**split, "speakers": len(names) if isinstance(names, list) else names}
