"""Every metric is named and labelled as Prometheus asks."""

from __future__ import annotations

import re

import pytest

from voxmill.observability.catalogue import (
    ALL,
    CATALOGUE,
    LABELS,
    UncataloguedMetricError,
    check_labels,
    check_names,
)

OURS = [metric for metric in ALL if metric.scope != "foreign"]


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_names_carry_prefix_unit_and_total(metric):
    """`voxmill_<thing>_<unit>[_total]`; counters and only counters end in `_total`."""
    assert re.fullmatch(r"voxmill_[a-z][a-z0-9_]*[a-z0-9]", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    if metric.unit != "1":
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_help_ends_a_sentence_and_labels_are_known(metric):
    """A label without a closed set would grow a series for each value that comes along."""
    assert metric.help.endswith(".")
    assert set(metric.exported_labels) <= set(LABELS)
    assert len(set(metric.exported_labels)) == len(metric.exported_labels)
    assert set(metric.closed) <= set(metric.labels)


def test_no_metric_stands_in_the_tables_twice():
    """A second entry would silently win over the first."""
    names = [name for metric in ALL for name in metric.sample_names]
    assert sorted(names) == sorted(set(names))
    assert len(CATALOGUE) == len(ALL)


def test_only_a_run_makes_labels_that_never_come_back():
    """Recipe and run come from folders; nothing else of a run may become a label."""
    for metric in ALL:
        unique = {"recipe", "run"} & set(metric.labels)
        assert not unique, metric.name
        assert ("run" in metric.exported_labels) == (metric.scope in {"journal", "run"})


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
        ("voxmill_run_state", {"state": "done"}, "state is 'done', allowed: .*'finished'"),
        ("voxmill_wer_ratio", {"split": "/tmp/x y"}, "a name as a recipe declares it"),
    ],
)
def test_labels_outside_their_closed_sets_are_refused(name, labels, message):
    """An open label value would grow a series for each file or user."""
    with pytest.raises(UncataloguedMetricError, match=message):
        check_labels(name, labels)


@pytest.mark.parametrize("name", ["voxmill_run_state", "voxmill_gpu_up", "up"])
def test_what_the_exporter_derives_is_not_for_journals(name):
    """Two sources of one series would contradict each other."""
    with pytest.raises(UncataloguedMetricError, match=f"Not for journals: {name}.*exporter"):
        check_names(["voxmill_train_loss", name])


def test_the_test_sets_that_a_recipe_names_are_splits():
    """Not only the three that every recipe has."""
    check_labels("voxmill_wer_ratio", {"split": "test-other"})
