"""The stage ingest: mirrors the source into archives, and what training begins with beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from voxmill.corpus.features import FeatureShape, write_shape
from voxmill.corpus.inventory import InventoryEntry, InventoryWriter
from voxmill.corpus.manifest import write_lines
from voxmill.corpus.sources.catalogue import open_source
from voxmill.corpus.sources.config import feature_shape, source_paths
from voxmill.corpus.sources.listing import FileFacts, Listing, difference
from voxmill.corpus.sources.source import Mirrored
from voxmill.corpus.tombstones import removed_ids
from voxmill.errors import DataError
from voxmill.families.catalogue import load_family
from voxmill.families.family import Family
from voxmill.stages.ingestion.base_model import mirror_base
from voxmill.stages.ingestion.hub import Hub, HuggingFaceHub
from voxmill.stages.stage import Check, StageContext, StageOutcome
from voxmill.stages.stopping import leave_if_asked


class IngestStage:
    """Writes `archives/`, `inventory.jsonl`, `utterances.jsonl` and `problems.jsonl`.

    And `base/`, `init/` and `base.json` where the recipe's section `base` names something, and
    `features.json` where the source holds arrays.
    """

    name = "ingest"
    version = 1

    def __init__(
        self, hub: Hub | None = None, families: Callable[[str], Family] = load_family
    ) -> None:
        self._hub = hub or HuggingFaceHub()
        self._families = families

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`.

        Raises:
            DataError: The source is missing, holds no recordings, or is not what was listed; or
                base model or checkpoint are not what they should be, or not for this model.
            UsageError: A folder was not given, or the hub has no such model or refuses it.
            VoxmillError: The hub does not answer.
        """
        # First, for it is quick to fail: a wrong name must not cost the mirror of a corpus.
        base = mirror_base(context, self._hub, stage=self.name)
        if base:
            # `model` is no parameter of ingest, and need not be one: it decides whether there is
            # an output, never what is in it. Prepare asks again where ingest was restored.
            recipe = context.recipe
            self._families(recipe.family).check_start(context.out, recipe.model)
        config, memory = context.recipe.source, context.input("memory")
        folders = {name: context.input(name) for name in source_paths(config)}
        source = open_source(config, folders, work=context.work / "source")
        with InventoryWriter(context.out) as writer:
            target = _StoppableTarget(writer, context)
            found = source.mirror(target, leave_out=removed_ids(memory))
        _refuse_changes(memory / "source.json", writer.entries, found)
        write_lines(context.out / "utterances.jsonl", found.utterances)
        write_lines(context.out / "problems.jsonl", found.problems)
        if (shape := feature_shape(config)) is not None:
            told = FeatureShape(dimensions=shape[0], frame_seconds=shape[1])
            write_shape(context.out, told)
        return StageOutcome(
            checks=(_something_found(found),), figures={**_figures(writer, found), **base}
        )


class _StoppableTarget:
    """Adds files until the stage is asked to stop."""

    def __init__(self, writer: InventoryWriter, context: StageContext) -> None:
        self._writer = writer
        self._context = context

    def add(self, path: str, content: bytes | Path) -> InventoryEntry:
        leave_if_asked(self._context, stage=IngestStage.name)
        return self._writer.add(path, content)


def _refuse_changes(
    source_json: Path, entries: tuple[InventoryEntry, ...], found: Mirrored
) -> None:
    """A run is made from what was listed: data that came later belongs to another run."""
    listing = Listing.read(source_json)
    if listing is None or not listing.files:
        return
    delta = difference(listing.files, _listable(listing, entries), but=found.left_out)
    if delta:
        raise DataError(
            f"The source changed since sync: {delta}. Run `voxmill sync {source_json.parent.name}` "
            "and start a new run."
        )


def _listable(listing: Listing, entries: tuple[InventoryEntry, ...]) -> Mapping[str, FileFacts]:
    """Mirrored files; of a mixture only those of parts that can be listed by file."""
    facts = {one.path: FileFacts(bytes=one.bytes, sha256=one.sha256) for one in entries}
    if listing.kind != "mixture":
        return facts
    parts = {path.split("/")[0] for path in listing.files}
    return {path: fact for path, fact in facts.items() if path.split("/")[0] in parts}


def _something_found(found: Mirrored) -> Check:
    count = len(found.utterances)
    return Check(
        name="ingest.utterances",
        value=count,
        limit="at least 1 recording with its transcript",
        passed=count > 0,
        help="problems.jsonl says of each file why it was not paired; correct the section "
        "`source` of the recipe, its pattern above all.",
    )


def _figures(writer: InventoryWriter, found: Mirrored) -> dict[str, int]:
    return {
        "utterances": len(found.utterances),
        "problems": len(found.problems),
        "files": len(writer.entries),
        "bytes": sum(one.bytes for one in writer.entries),
        "left_out_files": len(found.left_out),
    }
