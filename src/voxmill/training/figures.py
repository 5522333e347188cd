"""From the short names that learners use to the catalogued ones that journals hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from voxmill.observability.catalogue import CATALOGUE, UncataloguedMetricError
from voxmill.observability.labels import DECODERS

STEP_SUMS = frozenset({"utterances", "audio_seconds", "skipped_updates", "infinite_losses"})
"""Values of a step that the loop turns into rates and running totals."""

_WITH_UNIT = {
    "wer": "voxmill_wer_ratio",
    "cer": "voxmill_cer_ratio",
}
_OF_A_DECODER = {
    "wer": "voxmill_decoder_wer_ratio",
    "cer": "voxmill_decoder_cer_ratio",
    "token_accuracy_ratio": "voxmill_decoder_token_accuracy_ratio",
}
"""Figures that a network with several branches gives for each: `ctc_wer`, `attention_wer`."""
_DECODED = frozenset(f"{decoder}_{name}" for decoder in DECODERS for name in _OF_A_DECODER)


def train_values(values: Mapping[str, float]) -> dict[str, float]:
    """The values of one step by catalogued name; sums are the loop's and are left out.

    Raises:
        UncataloguedMetricError: A value has no name in the catalogue.
    """
    return {
        _catalogued(f"voxmill_train_{name}", name): value
        for name, value in values.items()
        if name not in STEP_SUMS
    }


def validation_records(
    values: Mapping[str, float],
) -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """The values of an evaluation by catalogued name, with their labels.

    Returns:
        The figures of the whole first, then those of each decoder that there are figures of.

    Raises:
        UncataloguedMetricError: A value has no name in the catalogue.
    """
    whole = {name: value for name, value in values.items() if name not in _DECODED}
    labels = {"split": "validation"}
    yield labels, {_catalogued(_WITH_UNIT.get(n, f"voxmill_{n}"), n): v for n, v in whole.items()}
    for decoder in DECODERS:
        own = {
            metric: values[name]
            for rest, metric in _OF_A_DECODER.items()
            if (name := f"{decoder}_{rest}") in values
        }
        if own:
            yield {**labels, "decoder": decoder}, own


def refuse_untrained(step: Collection[str], evaluation: Collection[str]) -> None:
    """Makes sure that no figure speaks of a branch that is not trained.

    A decoder without a loss of its own has random weights: its error rate would be a number that
    means nothing beside one that does.

    Args:
        step: Names of the values of a training step (`loss`, `ctc_loss`, …).
        evaluation: Names of the figures of an evaluation (`wer`, `attention_wer`, …).

    Raises:
        UncataloguedMetricError: One does; a mistake in the family's code.
    """
    for name in evaluation:
        branch, _, rest = name.partition("_")
        if branch in DECODERS and rest and f"{branch}_loss" not in step:
            raise UncataloguedMetricError(
                f"The learner measures {name!r}, but no step has a {branch}_loss: that branch is "
                f"not trained, and a figure of it means nothing. Leave it out of `validate`."
            )


def _catalogued(full: str, short: str) -> str:
    if full not in CATALOGUE:
        raise UncataloguedMetricError(
            f"The learner gives {short!r}, but the catalogue has no {full}. Add it to "
            f"voxmill/observability/catalogue.py."
        )
    return full
