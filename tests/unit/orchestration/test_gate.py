"""A stage whose checks failed: the question, and what becomes of each answer."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time import task_runner

from fakes.airflow_task import TIMED_OUT, FakeSupervisor, answered, context
from fakes.worker import FakeWorker
from toys.snapshots import snapshot
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.outcome import FailedForGood, FailedForNow
from voxmill.orchestration.worker import FailedCheck, StageSummary
from voxmill.runs.git import OriginUnreachable

WER = FailedCheck(
    name="evaluate.wer[test]", value=0.0612345, limit="at most 0.05", advice="Train | longer."
)
RTF = FailedCheck(name="evaluate.rtf", value="slow", limit="at most 0.3")


def failed(*checks, run="manual-1"):
    def handler(stage, attempt):
        return StageSummary(
            stage=stage, verdict="failed", seconds=1.0, executed=True, failed_checks=checks, run=run
        )

    return handler


def task_of(worker, **release):
    entry = snapshot(release=release)
    dag = build_dags(entry, Path(), worker=lambda _root: worker)["toy"]
    return dag.task_dict["train"]


@pytest.fixture
def supervisor(monkeypatch):
    """Airflow's supervisor, played."""
    fake = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


def ask(worker, supervisor, conf=None, **release):
    """Runs the task until it asks; gives how it left, the question and its XComs."""
    task, xcoms = task_of(worker, **release), {}
    with pytest.raises(TaskAwaitingInput) as waiting:
        task.execute(context(task, xcoms, **(conf or {})))
    return waiting.value, supervisor.told[-1], xcoms


def answer(worker, supervisor, event, *checks):
    """Asks, and hands the answer over as Airflow does."""
    waiting, _, _ = ask(worker, supervisor)
    task = task_of(worker)
    return task.execute_complete(context(task), event=event, **waiting.kwargs)


def test_a_closed_gate_asks_with_each_check_its_value_limit_and_remedy(supervisor):
    """Rule: whoever answers needs nothing but the question and the report that it links to."""
    waiting, question, _ = ask(FakeWorker(failed(WER, RTF)), supervisor)
    assert waiting.method_name == "execute_complete"
    assert question.subject == "toy: train failed evaluate.wer[test], evaluate.rtf"
    assert question.options == ["Waive", "Stop"]
    rows = question.body.splitlines()
    assert "| evaluate.wer[test] | 0.06123 | at most 0.05 | Train \\| longer. |" in rows
    assert "| evaluate.rtf | slow | at most 0.3 |  |" in rows
    assert "/voxmill/runs/toy/manual-1/train/" in question.body
    reason = question.params["reason"]
    assert (reason["schema"]["type"], reason["schema"]["minLength"]) == ("string", 1)


def test_the_failed_checks_are_an_xcom_while_it_waits_and_last_in_the_log(supervisor, caplog):
    """Rule: machines and people find the checks without opening the question."""
    with caplog.at_level(logging.INFO):
        _, _, xcoms = ask(FakeWorker(failed(WER)), supervisor)
    assert xcoms[("train", "failed_checks")][0]["name"] == WER.name
    own = [line.getMessage() for line in caplog.records if line.name.startswith("voxmill")]
    assert own[-1] == f"Failed check: {WER.line()}"


def test_a_waiver_is_written_for_every_open_check_with_reason_and_name(supervisor):
    """Rule: memory says who let what pass, and why; the stage then counts as done."""
    worker = FakeWorker(failed(WER, RTF))
    result = answer(worker, supervisor, answered("Waive", reason="  A trial.  "))
    assert worker.waived == [((WER.name, RTF.name), "A trial.", "ana (Airflow)")]
    assert worker.calls == ["train", "waive"]  # nothing was run twice
    assert (result["verdict"], result["waived_by"]) == ("failed", "ana (Airflow)")


def test_a_check_that_is_waived_already_is_not_asked_about(supervisor):
    """Rule: a person is asked once; what another has let pass is no question."""
    done = FailedCheck(name="train.loss", value=3.0, limit="at most 2", waived=True)
    task = task_of(FakeWorker(failed(done)))
    assert task.execute(context(task))["verdict"] == "failed"
    assert supervisor.told == []
    _, question, _ = ask(FakeWorker(failed(done, WER)), supervisor)
    assert done.name not in question.subject + question.body


@pytest.mark.parametrize("inputs", [{}, {"reason": None}, {"reason": " \n"}])
def test_a_waiver_without_a_reason_is_refused_and_asked_for_again(supervisor, caplog, inputs):
    """Rule: nobody lets a check pass without a word; the log says why it asks again."""
    worker = FakeWorker(failed(WER))
    with pytest.raises(TaskAwaitingInput) as again:
        answer(worker, supervisor, answered("Waive", **inputs))
    assert worker.waived == []
    assert "needs its reason. ana (Airflow) gave none" in caplog.text
    task = task_of(worker)
    task.execute_complete(
        context(task), event=answered("Waive", reason="now"), **again.value.kwargs
    )
    assert worker.waived == [((WER.name,), "now", "ana (Airflow)")]


def test_stop_ends_the_run_at_once_with_66_and_who_said_so(supervisor):
    """Rule: a person's no is final: no retry, the reason and the checks in the failure."""
    worker = FakeWorker(failed(WER))
    with pytest.raises(FailedForGood) as stopped:
        answer(worker, supervisor, answered("Stop", reason="Bad data."))
    assert stopped.value.exit_code == 66
    assert "ana (Airflow) stopped the run of toy behind train: Bad data." in str(stopped.value)
    assert WER.line() in str(stopped.value)
    assert worker.waived == []


def test_a_question_that_nobody_answers_fails_and_says_how_to_be_asked_again(supervisor):
    """Rule: a run does not wait longer than the recipe, or this run's form, says."""
    worker = FakeWorker(failed(WER))
    assert ask(worker, supervisor)[0].timeout is None
    assert ask(worker, supervisor, answer_hours=8)[0].timeout == timedelta(hours=8)
    conf = {"release.answer_hours": 0.5}
    waiting, _, _ = ask(worker, supervisor, conf=conf, answer_hours=8)
    assert waiting.timeout == timedelta(minutes=30)
    task = task_of(worker, answer_hours=8)
    with pytest.raises(FailedForGood, match=r"within 8 hours.*Clear this task"):
        task.execute_complete(context(task), event=TIMED_OUT, **waiting.kwargs)


def test_a_waiver_that_could_not_be_written_fails_the_task_as_its_code_says(supervisor):
    """Rule: nothing passes a gate by a word that memory does not have."""

    class Away(FakeWorker):
        def waive(self, order, checks, why, who):
            raise OriginUnreachable("No answer from the origin")

    with pytest.raises(FailedForNow, match="No answer from the origin"):
        answer(Away(failed(WER)), supervisor, answered("Waive", reason="a"))


def test_where_nobody_can_be_asked_the_next_stage_is_the_one_that_refuses(supervisor):
    """Rule: a run in one process goes on to the stage that reads the failed one, which ends it."""
    task = task_of(FakeWorker(failed(WER)))
    task.attended = False
    assert task.execute(context(task))["failed_checks"][0]["name"] == WER.name
    assert supervisor.told == []
