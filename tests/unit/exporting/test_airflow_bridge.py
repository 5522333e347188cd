"""Airflow's StatsD lines become the catalogue's labelled metrics, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.exporting.airflow_bridge import MAX_SERIES, AirflowBridge, parse_line
from voxmill.exporting.exposition import METRIC_OF_SERIES
from voxmill.observability.catalogue import check_labels


def told(*lines: str) -> dict:
    """Airflow's series by name and labels."""
    bridge = AirflowBridge()
    for line in lines:
        bridge.take(line.encode())
    return series(bridge)


def series(bridge: AirflowBridge) -> dict:
    samples = bridge.samples()
    return {(s.name, *s.labels): s.value for s in samples if s.name.startswith("airflow_")}


def test_counters_add_up_by_their_labels():
    """Tags that are no labels are left out, so that their series are one."""
    start = "airflow.ti.start,dag_id=digits,task_id=train"
    assert told(f"{start}:1|c", f"{start},team_name=x:2|c", f"{start}:1|c|@0.5") == {
        ("airflow_ti_start_total", "digits", "train"): 5.0
    }


def test_gauges_are_set_and_moved():
    """StatsD: a sign makes it a difference."""
    pool = "airflow.pool.open_slots,pool_name=gpu pool"
    assert told(f"{pool}:3|g", f"{pool}:-1|g", f"{pool}:+5|g") == {
        ("airflow_pool_open_slots", "gpu_pool"): 7.0
    }


def test_timers_are_counted_and_summed_in_seconds():
    """Milliseconds are nobody's base unit."""
    duration = "airflow.task.duration,dag_id=digits,task_id=train"
    assert told(f"{duration}:1500|ms", f"{duration}:500|ms") == {
        ("airflow_task_duration_seconds_count", "digits", "train"): 2.0,
        ("airflow_task_duration_seconds_sum", "digits", "train"): 2.0,
    }


def test_the_state_in_the_name_of_a_dag_runs_duration_is_a_label():
    """A failed DAG run is counted by itself: alerts ask for it."""
    name = "airflow.dagrun.duration"
    assert told(
        f"{name}.failed,dag_id=digits,run_type=manual:2000|ms",
        f"{name}.success,dag_id=digits,run_type=manual:1000|ms",
    ) == {
        ("airflow_dagrun_duration_seconds_count", "digits", "failed"): 1.0,
        ("airflow_dagrun_duration_seconds_sum", "digits", "failed"): 2.0,
        ("airflow_dagrun_failed_total", "digits"): 1.0,
        ("airflow_dagrun_duration_seconds_count", "digits", "success"): 1.0,
        ("airflow_dagrun_duration_seconds_sum", "digits", "success"): 1.0,
    }


def test_failures_of_known_dags_are_counted_from_zero():
    """`increase()` sees no rise in a series that begins with its first failure."""
    bridge = AirflowBridge()
    bridge.expect_dags(["digits"])
    assert series(bridge) == {("airflow_dagrun_failed_total", "digits"): 0.0}
    bridge.take(b"airflow.dagrun.duration.failed,dag_id=digits:1|ms")
    bridge.expect_dags(["digits"])
    assert series(bridge)["airflow_dagrun_failed_total", "digits"] == 1.0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "airflow.ti.start",
        "airflow.ti.start,dag_id=digits,task_id=train:one|c",
        "airflow.ti.start,dag_id=digits,task_id=train:nan|c",
        "airflow.ti.start,dag_id=digits,task_id=train:1|c|@0",
        "airflow.ti.start,dag_id=digits,task_id=train:1",
        "airflow.ti.start,dag_id=digits:1|c",
        "airflow.ti.start.digits.train:1|c",
        "airflow.ti.start,dag_id=digits,task_id=train:1|g",
        "airflow.ti.finish,dag_id=digits,task_id=train,state=odd:1|c",
        "airflow.ol.emit.failed:1|c",
        ":1|c",
        "\x00\xff",
    ],
)
def test_what_is_malformed_or_not_catalogued_is_ignored_and_counted(line):
    """Airflow says much more than anybody looks at."""
    bridge = AirflowBridge()
    bridge.take(line.encode() or b"\n")
    assert series(bridge) == {}
    assert (bridge.lines, bridge.ignored) == (1, 1)


def test_several_lines_in_one_datagram_are_several():
    """StatsD clients may pack them."""
    heartbeat = "airflow.scheduler_heartbeat:1|c"
    assert told(f"{heartbeat}\n{heartbeat}\n") == {("airflow_scheduler_heartbeat_total",): 2.0}


def test_a_flood_of_names_does_not_fill_the_memory():
    """Whoever reaches the port could send any name."""
    bridge = AirflowBridge()
    for number in range(MAX_SERIES + 100):
        bridge.take(f"airflow.ti.start,dag_id=d{number},task_id=t:1|c".encode())
    assert len(series(bridge)) == MAX_SERIES
    assert bridge.ignored == 100


def test_what_was_known_before_a_flood_goes_on():
    """A silent scheduler and a failed DAG must still be told."""
    bridge = AirflowBridge()
    bridge.expect_dags(["digits"])
    bridge.take(b"airflow.scheduler_heartbeat:1|c")
    for number in range(MAX_SERIES):
        bridge.take(f"airflow.ti.start,dag_id=d{number},task_id=t:1|c".encode())
    bridge.take(b"airflow.scheduler_heartbeat:1|c")
    bridge.take(b"airflow.dagrun.duration.failed,dag_id=digits:1000|ms")
    found = series(bridge)
    assert found[("airflow_scheduler_heartbeat_total",)] == 2.0
    assert found[("airflow_dagrun_failed_total", "digits")] == 1.0
    assert len(found) == MAX_SERIES


@given(st.binary(max_size=200))
def test_no_datagram_breaks_it(datagram):
    """UDP brings anything; what comes out is catalogued all the same."""
    bridge = AirflowBridge()
    bridge.take(datagram)
    bridge.take(b"airflow.ti.start,dag_id=" + datagram + b",task_id=t:1|c")
    for sample in bridge.samples():
        metric = METRIC_OF_SERIES[sample.name]
        check_labels(metric.name, dict(zip(metric.labels, sample.labels, strict=True)))


def test_a_line_without_tags_has_none():
    """Its name loses Airflow's prefix."""
    line = parse_line("airflow.dagbag_size:3|g")
    assert line is not None
    assert (line.name, dict(line.tags), line.value, line.kind) == ("dagbag_size", {}, 3.0, "g")
