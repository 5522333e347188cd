"""What Airflow really does with our tasks, seen through whole DAG runs of toys."""


def states(run):
    return {task["task"]: task["state"] for task in run["tasks"]}


def tries(run, name):
    return next(task["tries"] for task in run["tasks"] if task["task"] == name)


def test_a_dag_run_opens_runs_every_stage_in_order_and_releases(toy_runs):
    """Rule: the order of tasks is open, the stages as DVC has them, decide, release."""
    run = toy_runs["succeeds"]
    assert run["succeeded"], toy_runs["log"][-3000:]
    ran = [task["task"] for task in run["tasks"] if task["state"] == "success"]
    assert ran == ["open", "ingest", "train", "evaluate", "decide", "release"]
    assert run["asked"]["calls"] == ["ingest", "train", "evaluate", "release"]
    assert run["results"]["release"] == {
        "tag": "succeeds@v0.1.0",
        "fresh": True,
        "figures": {"wer": 0.02},
        "approved_by": "",
    }


def test_only_fields_that_differ_from_the_recipe_become_overrides(toy_runs):
    """Rule: Airflow's form sends every field; an untouched one is no override."""
    asked = toy_runs["succeeds"]["asked"]
    assert asked["overrides"] == [{"train.seed": 3}]
    assert asked["allow_dirty"] == [True]


def test_a_run_without_a_form_has_no_overrides_and_refuses_uncommitted_code(toy_runs):
    """Rule: what nobody asked for is the recipe's own, and dirty code has to be asked for."""
    asked = toy_runs["bug-once"]["asked"]
    assert asked["overrides"] == [{}]
    assert asked["allow_dirty"] == [False]


def test_a_value_against_the_schema_stops_the_run_before_anything_is_opened(toy_runs):
    """Rule: the form's schema is enforced by Airflow itself."""
    run = toy_runs["wrong-value"]
    assert run["exit_code"] == 64
    assert "train.seed" in run["error"]
    assert run["asked"]["overrides"] == []


def test_bad_data_fails_at_once_and_uses_no_retry(toy_runs):
    """Rule: 64-70 need a person, so Airflow does not try again."""
    run = toy_runs["bad-data"]
    assert states(run)["train"] == "failed"
    assert tries(run, "train") == 1
    assert run["asked"]["calls"].count("train") == 1
    assert "Recording r17: 0 samples. Remove it.\n(exit code 65)" in run["failed_task"]["reason"]


def test_a_stage_that_checkpoints_and_leaves_comes_back_without_using_up_retries(toy_runs):
    """Rule: 75 and 76 put the task back; it still counts as its first try, however often."""
    run = toy_runs["leaves"]
    assert run["succeeded"]
    assert run["asked"]["calls"].count("train") == 5
    assert tries(run, "train") == 1


def test_anything_else_uses_retries(toy_runs):
    """Rule: what may pass by itself is tried again."""
    run = toy_runs["bug-once"]
    assert run["succeeded"]
    assert tries(run, "train") == 2


def test_retries_end(toy_runs):
    """Rule: two retries, then the run fails with the reason."""
    run = toy_runs["bug-always"]
    assert states(run)["train"] == "failed"
    assert run["asked"]["calls"].count("train") == 3
    assert run["failed_task"]["reason"] == "no network"


def test_a_refused_gate_leaves_everything_downstream_unstarted(toy_runs):
    """Rule: behind a failed gate nothing starts, and nothing is released."""
    run = toy_runs["refused"]
    assert states(run) == {
        "open": "success",
        "ingest": "success",
        "train": "failed",
        "evaluate": "upstream_failed",
        "decide": "upstream_failed",
        "approve": "upstream_failed",
        "release": "upstream_failed",
    }
    assert run["asked"]["calls"] == ["ingest", "train"]


def test_the_failed_checks_of_a_refused_gate_are_the_last_lines_of_the_log(toy_runs):
    """Rule: whoever opens the log of a red task finds value and limit at its end."""
    reason = toy_runs["refused"]["failed_task"]["reason"]
    assert reason.splitlines()[-2:] == ["  ingest.share: 0.5, at most 0.1", "(exit code 66)"]
    assert f": {reason}\n" in toy_runs["log"]


def test_the_database_is_made_on_the_first_start(toy_runs):
    """Rule: nobody has to call `airflow db migrate` before the first run."""
    assert toy_runs["migrated"] is True


def test_sigterm_asks_the_job_to_save_and_the_task_comes_back(toy_runs):
    """Rule: a worker that is shut down passes the request on; the next try goes on."""
    run = toy_runs["told-to-stop"]
    assert run["asked"]["stopped"] == 1
    assert run["succeeded"]
    assert tries(run, "train") == 1


def test_a_timeout_asks_the_job_to_save_and_uses_a_retry(toy_runs):
    """Rule: the recipe's timeout counts, and even then the job may write its checkpoint."""
    run = toy_runs["too-slow"]
    assert run["asked"]["stopped"] == 1
    assert run["succeeded"]
    assert tries(run, "train") == 2


def test_a_longer_limit_for_one_run_counts(toy_runs):
    """Rule: what the form allows, Airflow's own limit from reading the DAG does not cut short."""
    run = toy_runs["longer-this-time"]
    assert run["succeeded"]
    assert tries(run, "train") == 1
    assert run["asked"]["stopped"] == 0
    assert next(task for task in run["tasks"] if task["task"] == "train")["seconds"] > 3


def test_ctrl_c_asks_the_job_to_save_and_says_how_to_go_on(toy_runs):
    """Rule: a person who stops a run in the terminal loses nothing and is told the remedy."""
    run = toy_runs["interrupted"]
    assert run["asked"]["stopped"] == 1
    assert states(run)["release"] == "upstream_failed"
    assert "voxmill resume" in run["failed_task"]["reason"]
