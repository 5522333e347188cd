"""Every metric is named and labelled as Prometheus asks."""

from __future__ import annotations

import re

import pytest

from voxmill.observability.catalogue import (
    CATALOGUE,
    LABELS,
    UncataloguedMetricError,
    check_labels,
    check_names,
)


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_names_carry_prefix_unit_and_total(metric):
    """`voxmill_<thing>_<unit>[_total]`; counters and only counters end in `_total`."""
    assert re.fullmatch(r"voxmill_[a-z][a-z0-9_]*[a-z0-9]", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    if metric.unit != "1":
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    assert metric.help.endswith(".")
    assert set(metric.labels) <= set(LABELS)


def test_a_name_that_is_not_catalogued_is_refused_with_where_to_add_it():
    """All unknown names at once."""
    with pytest.raises(UncataloguedMetricError, match=r"voxmill_a, voxmill_b\..*catalogue\.py"):
        check_names(["voxmill_train_loss", "voxmill_b", "voxmill_a"])


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("voxmill_wer_ratio", {}, "takes the labels .'split'.*found none"),
        ("voxmill_train_loss", {"split": "test"}, "takes the labels none"),
        ("voxmill_stage_seconds", {"stage": "cook"}, "stage is 'cook', allowed: .*'audit'"),
        ("voxmill_wer_ratio", {"split": "/tmp/x y"}, "a name as a recipe declares it"),
    ],
)
def test_labels_outside_their_closed_sets_are_refused(name, labels, message):
    """An open label value would grow a series for each file or user."""
    with pytest.raises(UncataloguedMetricError, match=message):
        check_labels(name, labels)


def test_the_test_sets_that_a_recipe_names_are_splits():
    """Not only the three that every recipe has."""
    check_labels("voxmill_wer_ratio", {"split": "test-other"})
