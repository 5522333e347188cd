"""Gathers what the model card tells: recipe, data, validation figures, lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from voxmill.corpus.sources.config import (
    FeaturesSource,
    FolderSource,
    LibriSpeechSource,
    MixtureSource,
    SourceConfig,
    SyntheticSource,
)
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.family import Exportable
from voxmill.packaging.model_card import Lineage, ModelCard, SplitSummary
from voxmill.recipe.recipe import Recipe
from voxmill.signal.frontend import FEATURES
from voxmill.stages.evaluation.curves import read_series
from voxmill.stages.evaluation.lineage import read_origins
from voxmill.stages.sample_rate import sample_rate_of

_DECODER = "ctc-greedy"
_FIGURES = {
    "voxmill_wer_ratio": "word error rate",
    "voxmill_cer_ratio": "character error rate",
}


def describe(
    recipe: Recipe,
    pieces: Exportable,
    utterances: Sequence[PreparedUtterance],
    *,
    inputs: Mapping[str, Path],
) -> ModelCard:
    """The card of a model that was just trained.

    Args:
        recipe: What was asked.
        pieces: The model.
        utterances: All that prepare gave.
        inputs: Output folders of prepare and train, by stage.

    Raises:
        DataError: A report or the learning curves are there but cannot be read.
    """
    origins = read_origins({stage: inputs[stage] for stage in ("prepare", "train")})
    commits = [origin.git_commit for origin in origins if origin.git_commit]
    return ModelCard(
        title=recipe.title,
        language=recipe.language,
        licence=recipe.package.licence,
        task=pieces.task,
        architecture=pieces.summary,
        source=source_sentence(recipe.source),
        splits=_splits(utterances, sample_rate_hz=sample_rate_of(recipe.model)),
        figures=_validation_figures(inputs["train"] / "curves.jsonl"),
        figures_decoder=_DECODER,
        hears_arrays=pieces.frontend.get("kind") == FEATURES,
        lineage=Lineage(
            recipe=recipe.name,
            git_commit=commits[-1] if commits else "",
            reports={origin.stage: origin.sha256 for origin in origins},
        ),
    )


def source_sentence(source: SourceConfig) -> str:
    """Where the training data come from, in words.

    A local folder's path is not told: it says nothing to a stranger.
    """
    match source:
        case SyntheticSource():
            return f"Synthetic speech: spoken digits in {source.voices} voices of espeak-ng."
        case LibriSpeechSource():
            subsets = ", ".join(source.subsets) or "all subsets given"
            return f"LibriSpeech (CC BY 4.0): {subsets}."
        case FolderSource():
            return f"Recordings of the folder `{Path(source.path).name}`."
        case FeaturesSource():
            return (
                f"Arrays of the folder `{Path(source.path).name}`, {source.dimensions} dimensions "
                f"every {source.frame_seconds:g} s."
            )
        case MixtureSource():
            parts = [f"{name}: {source_sentence(part)}" for name, part in source.parts.items()]
            return "A mixture. " + " ".join(parts)


def _splits(
    utterances: Sequence[PreparedUtterance], *, sample_rate_hz: float
) -> tuple[SplitSummary, ...]:
    names = sorted({utterance.split for utterance in utterances})
    members = {name: [u for u in utterances if u.split == name] for name in names}
    return tuple(
        SplitSummary(
            name=name,
            utterances=len(members[name]),
            hours=sum(u.samples for u in members[name]) / sample_rate_hz / 3600,
            speakers=len({u.speaker for u in members[name]}),
        )
        for name in names
    )


def _validation_figures(curves: Path) -> dict[str, float]:
    """Figures of the evaluation with the lowest word error rate; none where there is no curve."""
    series = {
        one.metric: dict(one.points) for one in read_series(curves) if one.name == "validation"
    }
    errors = series.get("voxmill_wer_ratio")
    if not errors:
        return {}
    best = min(errors, key=lambda step: (errors[step], step))
    return {
        name: series[metric][best]
        for metric, name in _FIGURES.items()
        if best in series.get(metric, {})
    }
