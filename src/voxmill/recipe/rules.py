"""Rules between sections; those within one stand in its class (`Section.conflicts`)."""

from __future__ import annotations

from collections.abc import Iterator

from voxmill.corpus.sources.config import MixtureSource, feature_shape
from voxmill.recipe.recipe import Recipe
from voxmill.section import Conflict


def conflicts_between_sections(recipe: Recipe) -> Iterator[Conflict]:
    """Every contradiction between sections that are valid one by one."""
    yield from _frame_length(recipe)
    yield from _frequency_masks(recipe)
    yield from _train_only_parts(recipe)
    yield from _shared_window(recipe)
    yield from _pretrained_weights(recipe)
    yield from _features(recipe)
    yield from _sound_alone(recipe)
    yield from _language_model(recipe)


def _frame_length(recipe: Recipe) -> Iterator[Conflict]:
    encoder = getattr(recipe.model, "encoder", None)
    own = getattr(encoder, "frame_seconds", None)
    wanted = getattr(recipe.model, "frame_seconds", own)
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


def _features(recipe: Recipe) -> Iterator[Conflict]:
    """The network hears what the source holds: sound, or arrays of one shape."""
    shape, heard = feature_shape(recipe.source), getattr(recipe.model, "input", None)
    kind = getattr(heard, "kind", "audio")
    if shape is None and kind == "features":
        allowed = "audio: the source holds recordings"
        yield Conflict("model.input.kind", kind, allowed, others=("source.kind",))
    elif shape is not None and heard is None:
        allowed = f"recordings: the family {recipe.family} hears sound alone"
        yield Conflict("source.kind", "features", allowed, others=("family",))
    elif shape is not None and kind == "audio":
        allowed = "features, with dimensions and frame_seconds: the source holds arrays"
        yield Conflict("model.input.kind", kind, allowed, others=("source.kind",))
    elif shape is not None:
        for name, wanted in zip(("dimensions", "frame_seconds"), shape, strict=True):
            found = getattr(heard, name)
            if found != wanted:
                allowed, others = f"{wanted}, as the source has it", (f"source.{name}",)
                yield Conflict(f"model.input.{name}", str(found), allowed, others=others)


def _language_model(recipe: Recipe) -> Iterator[Conflict]:
    """Evaluate heeds only what package has written."""
    if recipe.evaluate.language_model and not recipe.package.language_model.order:
        allowed = "true only with package.language_model.order, such as 6"
        others = ("package.language_model.order",)
        yield Conflict("evaluate.language_model", "true", allowed, others=others)


def _sound_alone(recipe: Recipe) -> Iterator[Conflict]:
    """Distortions of a waveform have nothing to work on where the input is features."""
    if getattr(getattr(recipe.model, "input", None), "kind", "audio") != "features":
        return
    augment = recipe.train.augment
    for name in _OF_WAVEFORMS:
        found, usual = getattr(augment, name), type(augment).model_fields[name].default
        if found != usual:
            allowed = f"{usual}: the input is features, which have no waveform"
            others = ("model.input.kind",)
            yield Conflict(f"train.augment.{name}", str(found), allowed, others=others)


_OF_WAVEFORMS = (
    "speed",
    "noise_probability",
    "gain_db",
    "equalise_db",
    "vocal_tract",
    "pad_seconds",
)


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
