"""Schedule, pools, limits and alerts of a DAG against the recipe that asks for them."""

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import Asset, AssetOrTimeSchedule

from toys.snapshots import snapshot
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.dag_settings import last_resort, stage_settings
from voxmill.orchestration.needs import needs_of
from voxmill.orchestration.schedule import source_asset


def dags(**changes):
    return build_dags(snapshot(**changes), Path())


def test_a_watched_source_starts_runs_through_its_asset():
    """Rule: `sync_<recipe>` emits what the training DAG is scheduled on, and nothing else does."""
    found = dags(schedule={"watch_source": True, "min_hours_between_runs": 6.0})
    assert set(found) == {"toy", "sync_toy"}
    assert found["toy"].schedule == [source_asset("toy")]
    sync = found["sync_toy"]
    assert sync.schedule == "*/15 * * * *"
    assert (sync.catchup, sync.max_active_runs) == (False, 1)
    assert sync.task_dict["sync"].outlets == [source_asset("toy")]
    assert sync.task_dict["sync"].min_hours == 6.0


def test_clock_and_source_can_start_runs_both():
    """Rule: with a cron expression beside it, either of them starts a run."""
    schedule = dags(schedule={"watch_source": True, "cron": "0 3 * * 1"})["toy"].schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert schedule.timetable.expression == "0 3 * * 1"
    assert tuple(schedule.asset_condition.objects) == (source_asset("toy"),)


def test_each_recipe_has_an_asset_of_its_own():
    """Rule: new data of one recipe starts no run of another."""
    assert source_asset("one") != source_asset("two")
    assert isinstance(source_asset("one"), Asset)


def test_runs_at_once_are_the_recipe_s_business():
    """Rule: one at a time, unless the recipe says otherwise."""
    assert dags(schedule={"max_active_runs": 3})["toy"].max_active_runs == 3
    assert dags()["toy"].max_active_runs == 1


def test_a_deadline_is_there_only_where_the_recipe_has_one():
    """Rule: counted from when the run was queued; the callback can be imported by name."""
    assert not dags()["toy"].deadline
    [alert] = dags(schedule={"deadline_hours": 1.5})["toy"].deadline
    assert alert.interval == timedelta(hours=1.5)
    assert alert.reference.reference_name == "DagRunQueuedAtDeadline"
    assert alert.callback.path == "voxmill.orchestration.deadline.tell_late"


@pytest.mark.parametrize(
    ("meta", "resources", "expected"),
    [
        ({"gpus": 0}, {}, ("default_pool", 1)),
        ({"gpus": 1}, {}, ("gpu", 1)),
        ({"gpus": 2}, {"gpus": None}, ("gpu", 2)),
        ({"gpus": 0}, {"gpus": 4}, ("gpu", 4)),
        ({"gpus": 1}, {"gpus": 0}, ("default_pool", 1)),
    ],
)
def test_a_stage_takes_a_slot_of_the_gpu_pool_for_each_gpu(meta, resources, expected):
    """Rule: with as many slots as GPUs, one GPU runs one training; the recipe stands over meta."""
    stages = snapshot()["recipes"]["toy"]["stages"]
    stages["train"] = {**stages["train"], "meta": meta}
    task = dags(stages=stages, resources=resources)["toy"].task_dict["train"]
    assert (task.pool, task.pool_slots) == expected


@pytest.mark.parametrize(
    ("meta", "resources", "expected"),
    [
        ({}, {}, "cpu"),
        ({"gpus": 0, "queue": "default"}, {}, "cpu"),
        ({"gpus": 1, "queue": "default"}, {"gpus": None}, "gpu"),
        ({"gpus": 0, "queue": "default"}, {"gpus": 2}, "gpu"),
        ({"gpus": 1, "queue": "default"}, {"gpus": 0}, "cpu"),
        ({"gpus": 1, "queue": "a100"}, {}, "a100"),
    ],
)
def test_a_stage_waits_for_a_worker_of_the_kind_that_it_needs(meta, resources, expected):
    """Rule: GPUs decide the queue, the recipe's over meta's, unless meta names one."""
    stages = snapshot()["recipes"]["toy"]["stages"]
    stages["train"] = {**stages["train"], "meta": meta}
    task = dags(stages=stages, resources=resources)["toy"].task_dict["train"]
    assert task.queue == expected


def test_retries_come_from_meta_where_it_names_them():
    """Rule: a stage may be given more tries, or none."""
    assert stage_settings({"retries": 7}, {})["retries"] == 7
    assert stage_settings({"retries": 0}, {})["retries"] == 0
    assert "retries" not in stage_settings({}, {})
    assert dags()["toy"].task_dict["train"].retries == 2


def test_a_run_that_has_begun_goes_first_where_slots_are_scarce():
    """Rule: the later the stage, the higher its priority."""
    tasks = dags()["toy"].task_dict
    assert tasks["train"].weight_rule == "upstream"


def test_a_limit_for_one_run_stands_over_all_others():
    """Rule: Airflow's last resort lies behind the launcher's limit, which the run may change."""
    meta, recipe = {"timeout_hours": 2, "grace_seconds": 60}, {"timeout_hours": 9.0, "gpus": None}
    hours = [
        last_resort(needs_of(meta, resources, conf)) / timedelta(hours=1)
        for resources, conf in [
            ({}, None),
            (recipe, {"train.seed": 3}),
            (recipe, {"resources.timeout_hours": 20}),
            (recipe, {"resources.timeout_hours": 1}),
            (recipe, {"resources.timeout_hours": None}),
        ]
    ]
    assert [int(found) for found in hours] == [3, 10, 21, 2, 3]
    assert last_resort(needs_of({}, {}, {})) is None
