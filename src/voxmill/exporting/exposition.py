"""Samples in Prometheus' text format, through prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from voxmill.exporting.samples import Sample
from voxmill.observability.catalogue import ALL, Metric

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family


class SamplesCollector:
    """Hands prometheus_client the newest samples whenever it is asked.

    Args:
        samples: Gives them; of two with the same name and labels the last one counts.
    """

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        """Every metric that has a series now."""
        families: dict[str, Family] = {}
        for sample in self._samples():
            metric = METRIC_OF_SERIES[sample.name]
            family = families.get(metric.name)
            if family is None:
                family = families[metric.name] = _family(metric)
            labels = metric.exported_labels
            family.add_sample(
                sample.name, dict(zip(labels, sample.labels, strict=True)), sample.value
            )
        yield from families.values()

    def describe(self) -> Iterator[Family]:
        """Nothing: what there is depends on what is read."""
        return iter(())


def _family(metric: Metric) -> Family:
    from prometheus_client.core import Metric as Family

    name = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
    return Family(name, metric.help, metric.type)


METRIC_OF_SERIES: Mapping[str, Metric] = {
    name: metric for metric in ALL for name in metric.sample_names
}
"""Metric by the name of its series: a summary has two."""
