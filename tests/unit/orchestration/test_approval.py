"""Whether a person is asked before a release, what they read, and what their answer does."""

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskAwaitingInput
from airflow.sdk.execution_time import task_runner

from fakes.airflow_task import TIMED_OUT, FakeSupervisor, answered, context
from fakes.worker import FIRST_RELEASE, FakeWorker
from toys.snapshots import snapshot
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.figures import ArtefactFigures
from voxmill.orchestration.outcome import FailedForGood
from voxmill.orchestration.worker import ReleasePreview


def figures(wer, utterances=100, test_set="test", artefact="onnx-int8"):
    return ArtefactFigures(
        test_set=test_set,
        artefact=artefact,
        word_error_rate=wer,
        word_error_rate_low=wer - 0.01,
        word_error_rate_high=wer + 0.01,
        character_error_rate=wer / 2,
        real_time_factor=0.0123,
        utterances=utterances,
        bytes=2_500_000,
    )


def preview(**changes):
    values = {
        "run": "manual-1",
        "version": "v0.1.3",
        "unchanged": False,
        "champion": "v0.1.2",
        "figures": (figures(0.03),),
        "champion_figures": (figures(0.04),),
        "base_commit": "0123456789abcdef",
    }
    return ReleasePreview(**values | changes)


def task_of(name, worker, **release):
    dag = build_dags(snapshot(release=release), Path(), worker=lambda _root: worker)["toy"]
    return dag.task_dict[name]


@pytest.fixture
def supervisor(monkeypatch):
    """Airflow's supervisor, played."""
    fake = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


def skipped_by(task, xcoms=None, **conf):
    """The tasks that a branch leaves out."""
    try:
        task.execute(context(task, xcoms, **conf))
    except DownstreamTasksSkipped as branch:
        return {name if isinstance(name, str) else name[0] for name in branch.tasks}
    return set()


def ask(worker, supervisor, **release):
    task = task_of("approve", worker, **release)
    with pytest.raises(TaskAwaitingInput) as waiting:
        task.execute(context(task))
    return waiting.value, supervisor.told[-1]


def test_a_new_version_is_asked_about_unless_the_recipe_or_the_form_says_not_to():
    """Rule: `release.auto` lets gates decide; a run's form stands over the recipe."""
    worker = FakeWorker(previewed=preview())
    xcoms = {}
    assert skipped_by(task_of("decide", worker), xcoms) == set()
    assert xcoms[("decide", "decision")]["next"] == "approve"
    assert skipped_by(task_of("decide", worker, auto=True), xcoms) == {"approve"}
    assert "release.auto" in xcoms[("decide", "decision")]["reason"]
    assert skipped_by(task_of("decide", worker), **{"release.auto": True}) == {"approve"}
    assert skipped_by(task_of("decide", worker, auto=True), **{"release.auto": False}) == set()


def test_nobody_is_asked_about_what_is_released_already():
    """Rule: the same outputs are no new version, so there is nothing to approve."""
    worker = FakeWorker(previewed=preview(unchanged=True, version="v0.1.2"))
    assert skipped_by(task_of("decide", worker)) == {"approve"}


def test_in_one_process_nobody_can_be_asked_and_nothing_is_looked_up():
    """Rule: `voxmill demo` releases without approval, and does not pay for a question."""
    worker = FakeWorker(previewed=preview())
    task = task_of("decide", worker)
    task.attended = False
    assert skipped_by(task) == {"approve"}
    assert worker.calls == []


def test_the_question_puts_this_version_beside_the_champion(supervisor):
    """Rule: for each test set and artefact, whoever approves sees both, and what changed."""
    found = preview(
        overrides={"train.seed": 7},
        waived=("evaluate.wer[test] by ana (Airflow): a trial",),
        dirty=("src/x.py",),
        branch="run/toy/manual-1",
    )
    waiting, question = ask(FakeWorker(previewed=found), supervisor)
    assert waiting.timeout is None
    assert question.subject == "toy: release v0.1.3 in place of v0.1.2?"
    assert question.options == ["Approve", "Reject"]
    rows = [line for line in question.body.splitlines() if line.startswith("| test (100)")]
    this, before = (row.strip("| ").split(" | ") for row in rows)
    assert this[1:] == [
        *("onnx-int8", "**v0.1.3**", "3.00%", "2.00% - 4.00%", "1.50%", "0.0123", "2.50 MB"),
    ]
    assert before[2:4] == ["v0.1.2", "4.00%"]
    for words in ("`train.seed = 7`", "a trial", "`src/x.py`", "`0123456789`", "run/toy/manual-1"):
        assert words in question.body
    assert "/voxmill/runs/toy/manual-1/evaluate/" in question.body


def test_test_sets_of_another_size_are_pointed_out(supervisor):
    """Rule: figures that cannot be compared are not put side by side in silence."""
    found = preview(
        figures=(figures(0.03), figures(0.03, test_set="new")),
        champion_figures=(figures(0.04, utterances=90), figures(0.05, test_set="gone")),
    )
    body = ask(FakeWorker(previewed=found), supervisor)[1].body
    assert "**Not the same test data:** test had another size before." in body
    assert "| gone (100) | onnx-int8 | v0.1.2 | 5.00% |" in body


def test_a_first_version_has_no_champion(supervisor):
    """Rule: without a champion the question says so."""
    question = ask(FakeWorker(previewed=FIRST_RELEASE), supervisor)[1]
    assert question.subject == "toy: release v0.1.0, the first version?"


def test_who_approved_reaches_the_release(supervisor):
    """Rule: the release is made in the name of the person who approved it."""
    worker, xcoms = FakeWorker(), {}
    approve = task_of("approve", worker)
    found = approve.execute_complete(context(approve, xcoms), event=answered("Approve"))
    assert found == {
        "option": "Approve", "who": "ana (Airflow)", "when": "2026-11-21T04:00:00+00:00",
    }  # fmt: skip
    release = task_of("release", worker)
    assert release.execute(context(release, xcoms))["approved_by"] == "ana (Airflow)"
    assert worker.approvals == ["ana (Airflow)"]


def test_a_release_that_nobody_was_asked_about_names_nobody(supervisor):
    """Rule: an approval is a person's, never a setting's."""
    worker = FakeWorker()
    release = task_of("release", worker)
    assert release.execute(context(release))["approved_by"] == ""
    assert worker.approvals == [""]


def test_reject_skips_the_release_and_keeps_who_said_so(supervisor):
    """Rule: a no is an answer, not a failure."""
    xcoms = {}
    approve = task_of("approve", FakeWorker())
    with pytest.raises(DownstreamTasksSkipped) as branch:
        approve.execute_complete(context(approve, xcoms), event=answered("Reject"))
    assert [str(name) for name in branch.value.tasks] == ["release"]
    assert xcoms[("approve", "answer")]["who"] == "ana (Airflow)"


def test_an_approval_that_nobody_gives_fails_and_says_how_to_be_asked_again(supervisor):
    """Rule: a run does not wait longer than `release.answer_hours`."""
    worker = FakeWorker(previewed=preview())
    assert ask(worker, supervisor, answer_hours=2)[0].timeout == timedelta(hours=2)
    task = task_of("approve", worker, answer_hours=2)
    with pytest.raises(FailedForGood, match=r"within 2 hours.*Clear this task"):
        task.execute_complete(context(task), event=TIMED_OUT)


def test_a_release_follows_an_approval_or_a_skipped_one_never_a_failed_one():
    """Rule: whether anybody was asked or not, one success is needed and no failure."""
    assert task_of("release", FakeWorker()).trigger_rule == "none_failed_min_one_success"
