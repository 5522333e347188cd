"""From the short names that learners use to the catalogued ones that journals hold."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.observability.catalogue import CATALOGUE, UncataloguedMetricError

STEP_SUMS = frozenset({"utterances", "audio_seconds", "skipped_updates", "infinite_losses"})
"""Values of a step that the loop turns into rates and running totals."""

_WITH_UNIT = {
    "wer": "voxmill_wer_ratio",
    "cer": "voxmill_cer_ratio",
}


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


def validation_values(values: Mapping[str, float]) -> dict[str, float]:
    """The values of an evaluation by catalogued name.

    Raises:
        UncataloguedMetricError: A value has no name in the catalogue.
    """
    return {
        _catalogued(_WITH_UNIT.get(name, f"voxmill_{name}"), name): value
        for name, value in values.items()
    }


def _catalogued(full: str, short: str) -> str:
    if full not in CATALOGUE:
        raise UncataloguedMetricError(
            f"The learner gives {short!r}, but the catalogue has no {full}. Add it to "
            f"voxmill/observability/catalogue.py."
        )
    return full
