"""Rules between sections; those within one stand in its class (`Section.conflicts`)."""

from __future__ import annotations

from collections.abc import Iterator

from voxmill.corpus.sources.config import MixtureSource
from voxmill.recipe.recipe import Recipe
from voxmill.section import Conflict


def conflicts_between_sections(recipe: Recipe) -> Iterator[Conflict]:
    """Every contradiction between sections that are valid one by one."""
    yield from _frame_length(recipe)
    yield from _frequency_masks(recipe)
    yield from _train_only_parts(recipe)
    yield from _shared_window(recipe)
    yield from _pretrained_weights(recipe)


def _frame_length(recipe: Recipe) -> Iterator[Conflict]:
    encoder = getattr(recipe.model, "encoder", None)
    wanted = getattr(encoder, "frame_seconds", None)
    found = recipe.audit.frame_seconds
    if wanted is not None and abs(found - wanted) > 1e-9:
        allowed = f"{wanted} (what model.encoder makes of the recording)"
        decides = "subsampling" if hasattr(encoder, "subsampling") else "architecture"
        others = (f"model.encoder.{decides}",)
        yield Conflict("audit.frame_seconds", str(found), allowed, others=others)


def _frequency_masks(recipe: Recipe) -> Iterator[Conflict]:
    waveform = getattr(getattr(recipe.model, "encoder", None), "hears_waveform", False)
    augment = recipe.train.augment
    for name, value in (
        ("frequency_masks", augment.frequency_masks),
        ("vocal_tract", augment.vocal_tract),
    ):
        if waveform and value:
            allowed = "0: this encoder hears the waveform, which has no mel bands"
            others = ("model.encoder.architecture",)
            yield Conflict(f"train.augment.{name}", str(value), allowed, others=others)


def _train_only_parts(recipe: Recipe) -> Iterator[Conflict]:
    source = recipe.source
    known = tuple(source.parts) if isinstance(source, MixtureSource) else ()
    unknown = [part for part in recipe.prepare.split.train_only_parts if part not in known]
    if unknown:
        names = ", ".join(known) or "none: the source is not a mixture"
        field, found = "prepare.split.train_only_parts", ", ".join(unknown)
        yield Conflict(
            field, found, f"parts of the source ({names})", others=("source.kind", "source.parts")
        )


def _pretrained_weights(recipe: Recipe) -> Iterator[Conflict]:
    kind = getattr(getattr(recipe.model, "encoder", None), "kind", None)
    if kind == "pretrained" and recipe.base.model is None:
        allowed = "a hub id with its revision, or a folder: the encoder's weights come from there"
        yield Conflict("base.model", "nothing", allowed, others=("model.encoder",))


def _shared_window(recipe: Recipe) -> Iterator[Conflict]:
    """Processes share the micro-batches of a window, so there must be one for each."""
    resources, found = recipe.resources, recipe.train.accumulation
    field = "resources.gpus" if resources.processes is None else "resources.processes"
    wanted = resources.processes or resources.gpus or 1
    if wanted > found:
        allowed = f"at least {wanted}, for {field} makes {wanted} processes share them"
        yield Conflict("train.accumulation", str(found), allowed, others=(field,))
