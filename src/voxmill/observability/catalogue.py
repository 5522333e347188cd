"""Every metric that voxmill records, exports or looks at, by name.

Names follow Prometheus: `voxmill_<thing>_<unit>[_total]`, base units (seconds, bytes, nats,
ratio 0-1). The tables are in `metrics/`, one for each of those who say the metrics.
A counter only grows within a run; it stands in the checkpoint, so a resumed run counts on.
Run and recipe are no labels of a journal: the exporter takes them from where the journal lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voxmill.observability.labels import ARTEFACTS, LABELS, STAGES
from voxmill.observability.metric import NAMED, Metric
from voxmill.observability.metrics.foreign import FOREIGN
from voxmill.observability.metrics.journal import JOURNAL
from voxmill.observability.metrics.machine import EXPORTER, HOST, RELEASES
from voxmill.observability.metrics.runs import RECIPES, RUNS

__all__ = [
    "ARTEFACTS",
    "CATALOGUE",
    "LABELS",
    "STAGES",
    "Metric",
    "UncataloguedMetricError",
    "allowed_values",
    "check_labels",
    "check_names",
]

ALL: tuple[Metric, ...] = (*JOURNAL, *RUNS, *RECIPES, *RELEASES, *HOST, *EXPORTER, *FOREIGN)
"""The tables one after the other."""

CATALOGUE: Mapping[str, Metric] = {metric.name: metric for metric in ALL}
"""Every metric by name."""


class UncataloguedMetricError(ValueError):
    """A metric name, or a label of it, that the catalogue does not have."""


def check_names(names: Iterable[str]) -> None:
    """Makes sure that every name is catalogued as one that stages record.

    Raises:
        UncataloguedMetricError: One or more are not, or are the exporter's to say.
    """
    wanted = sorted(names)
    unknown = [name for name in wanted if name not in CATALOGUE]
    if unknown:
        raise UncataloguedMetricError(
            f"Not in the metric catalogue: {', '.join(unknown)}. Add name, type, unit, help and "
            f"labels to voxmill/observability/catalogue.py (its tables: metrics/) before "
            f"recording them."
        )
    derived = [name for name in wanted if CATALOGUE[name].scope != "journal"]
    if derived:
        raise UncataloguedMetricError(
            f"Not for journals: {', '.join(derived)}. The exporter derives them (scope "
            f"{CATALOGUE[derived[0]].scope}); record one of scope journal instead."
        )


def check_labels(name: str, labels: Mapping[str, str]) -> None:
    """Makes sure that a metric carries exactly its own labels, with allowed values.

    Raises:
        UncataloguedMetricError: A label is missing, left over or has a value outside its set.
    """
    expected = CATALOGUE[name].labels
    if set(labels) != set(expected):
        raise UncataloguedMetricError(
            f"{name} takes the labels {sorted(expected) or 'none'}, "
            f"found {sorted(labels) or 'none'}. Pass exactly those."
        )
    for label, value in labels.items():
        allowed = allowed_values(name, label)
        good = bool(NAMED.fullmatch(value)) if allowed is None else value in allowed
        if not good:
            choice = "a name as a recipe declares it" if allowed is None else sorted(allowed)
            raise UncataloguedMetricError(f"{name}: label {label} is {value!r}, allowed: {choice}.")


def allowed_values(name: str, label: str) -> frozenset[str] | None:
    """What a label of a metric may be; None: any name that somebody declares."""
    return CATALOGUE[name].closed.get(label, LABELS[label])
