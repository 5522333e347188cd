from datetime import UTC, datetime

import pytest

from fakes.airflow import FakeAirflow, Moment
from voxmill.errors import DataError, EngineMissing, UsageError
from voxmill.orchestration import triggering
from voxmill.orchestration.airflow_answers import DagRunState, RequiredAction, TaskState
from voxmill.orchestration.outcome import airflow_exception
from voxmill.orchestration.triggering import Follower, start_run

RUN = DagRunState(dag="digits", id="first", state="queued")


def task(name, state, tries=1, seconds=None, index=-1):
    return TaskState(task=name, state=state, try_number=tries, seconds=seconds, map_index=index)


def question(answered=False):
    return RequiredAction(
        dag="digits",
        run="first",
        task="approve",
        map_index=-1,
        subject="Release 0.1.1?",
        body="",
        options=("Approve", "Reject"),
        params={},
        answered=answered,
        chosen=("Reject",) if answered else (),
        answered_by="olga" if answered else "",
    )


def followed(airflow):
    said = []
    return Follower(airflow, RUN, said.append, pause_seconds=0).follow(), said


def test_each_change_is_said_once():
    """Rule: one line for each step; waiting one's turn is no step."""
    running = Moment("running", [task("open", "running"), task("train", "scheduled", 0)])
    moments = [
        Moment("queued", [task("open", "", 0)]),
        running,
        running,
        Moment("running", [task("open", "success", 1, 2.0), task("train", "up_for_reschedule")]),
        Moment("success", [task("open", "success", 1, 2.0), task("train", "success", 2, 61.04)]),
    ]
    end, said = followed(FakeAirflow(moments))
    assert (end.state, end.exit_code) == ("success", 0)
    assert said == [
        "open: running",
        "open: success in 2.0 s",
        "train: up for reschedule",
        "train: success in 61.0 s, try 2",
    ]


def test_a_person_learns_what_is_asked_and_what_was_answered():
    """Rule: a run that waits for somebody says so, with the place to answer."""
    moments = [Moment("running", (), [question()])] * 2
    end, said = followed(FakeAirflow([*moments, Moment("success", (), [question(answered=True)])]))
    assert said == [
        (
            "approve asks you: Release 0.1.1? (Approve or Reject). Answer at "
            "http://airflow/dags/digits/runs/first/required_actions"
        ),
        "approve: answered by olga: Reject",
    ]
    assert end.exit_code == 0  # a refused release is no failure


def test_the_exit_code_is_the_failed_task_s(monkeypatch):
    """Rule: scripts see of Airflow what they would see of `voxmill run`."""
    raised = airflow_exception(DataError("Recording r17: 0 samples."), now=datetime.now(UTC))
    log = [{"event": "x"}, {"error_detail": [{"exc_type": "E", "exc_value": str(raised)}]}]
    failed = [task("prepare", "failed", 1, 1.0), task("train", "upstream_failed", 0)]
    end, said = followed(FakeAirflow([Moment("failed", failed)], log_lines=log))
    assert (end.task, end.exit_code) == ("prepare", 65)
    assert end.reason.startswith("Recording r17: 0 samples.")
    assert said == ["prepare: failed in 1.0 s", "train: upstream failed"]


@pytest.mark.parametrize("tasks", [[], [task("train", "failed")]])
def test_a_failure_that_says_nothing_is_still_one(tasks):
    """Rule: exit code 1 where nobody knows better."""
    assert followed(FakeAirflow([Moment("failed", tasks)]))[0].exit_code == 1


def test_a_mapped_task_is_told_from_its_siblings():
    """Rule: each shard has a line."""
    shards = [task("verify", "running", index=0), task("verify", "running", index=1)]
    _, said = followed(FakeAirflow([Moment("running", shards), Moment("success")]))
    assert said == ["verify[0]: running", "verify[1]: running"]


def test_a_server_that_comes_back_is_waited_for():
    """Rule: a restart of Airflow ends nobody's `--wait`, and is told once."""
    end, said = followed(FakeAirflow([None, None, Moment("success")]))
    assert end.exit_code == 0
    assert said == ["No Airflow answers. Waiting for it to come back."]


def test_a_server_that_stays_away_is_not_waited_for_for_ever(monkeypatch):
    """Rule: after a while following it ends with exit code 69."""
    monkeypatch.setattr(triggering, "ABSENT_SECONDS", 0.05)
    with pytest.raises(EngineMissing):
        followed(FakeAirflow([None]))


def test_a_run_is_started_with_what_was_asked():
    """Rule: values by section.key, as the form sends them."""
    airflow = FakeAirflow()
    run = start_run(airflow, "digits", {"train.epochs": 3}, run_id="mine")
    assert (run.id, airflow.triggered) == ("mine", [{"train.epochs": 3}])


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({}, "there are: digits. A recipe becomes a DAG with `make graph`"),
        ({"dags/voxmill.py": "Traceback\nKeyError: 'form'\n"}, "dags/voxmill.py: KeyError: 'form'"),
    ],
)
def test_a_missing_dag_says_why(errors, said):
    """Rule: a recipe without a DAG is not known yet, or its file cannot be read."""
    airflow = FakeAirflow(errors=errors)
    with pytest.raises(UsageError) as refusal:
        start_run(airflow, "later", {})
    assert said in str(refusal.value)
    assert airflow.triggered == []
