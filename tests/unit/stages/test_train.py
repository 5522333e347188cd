"""The stage train: what it writes, checks and tells."""

from __future__ import annotations

import json
import time

import pytest

from toys.family import ToyFamily, toy_prepared, toy_recipe
from toys.linear import ToyObjective
from voxmill.errors import CheckpointedAndLeft, TrainingFailed
from voxmill.observability.journal import JournalRecorder, read_journal
from voxmill.stages.stage import StageContext
from voxmill.stages.train import TrainStage, training_identity
from voxmill.training.checkpoint import load_checkpoint
from voxmill.training.config import TrainConfig

CONFIG = TrainConfig(epochs=3, learning_rate=0.1, warmup_steps=2, watch="loss", threads=1)


class Scripted(ToyObjective):
    """Evaluations give these error rates, one after the other."""

    def __init__(self, values):
        super().__init__()
        self._values = iter(values)

    def validate(self, model, batches):
        list(batches)
        return {"wer": next(self._values)}


def run(folder, config=CONFIG, *, objective=None, attempt=1, stop=lambda: False):
    prepared = toy_prepared(folder / "prepare")
    out = folder / f"out.{attempt}"
    out.mkdir()
    stage = TrainStage(lambda name: ToyFamily(objective=objective))
    with JournalRecorder(folder / "work" / "journal", attempt=attempt) as recorder:
        context = StageContext(
            recipe=toy_recipe(config),
            inputs={"prepare": prepared},
            out=out,
            work=folder / "work",
            recorder=recorder,
            stop_requested=stop,
            clock=time.monotonic,
        )
        return out, stage.run(context)


def checks(outcome):
    return {check.name: check.passed for check in outcome.checks}


def test_best_last_and_curves_are_written_and_the_figures_tell_the_course(tmp_path):
    """Both checkpoints load safely; the curves begin before the first step."""
    out, outcome = run(tmp_path)
    assert sorted(path.name for path in out.iterdir()) == ["best", "curves.jsonl", "last"]
    figures = outcome.figures
    assert load_checkpoint(out / "last").step == figures["steps"]
    best = load_checkpoint(out / "best")
    assert best.step == figures["best_step"]
    assert set(best.state["learner"]["model"]) == {"linear.weight", "linear.bias"}
    rows = [json.loads(row) for row in (out / "curves.jsonl").open()]
    assert rows[0]["labels"] == {"split": "validation"}
    assert rows[0]["step"] == 0
    losses = [row for row in rows if "voxmill_train_loss" in row["values"]]
    assert [row["step"] for row in losses] == list(range(1, figures["steps"] + 1))
    assert figures["parameters"] == 4
    assert figures["epochs"] == 3
    assert figures["ending"] == "epochs"
    assert figures["resumed_from"] is None
    assert figures["best_value"] < figures["first_value"]
    assert figures["peak_memory_bytes"] > 1e6
    assert checks(outcome) == {"train.finite": True, "train.learned": True}
    json.dumps(dict(figures), allow_nan=False)


def test_the_journal_ends_with_parameters_and_memory(tmp_path):
    """What a dashboard shows beside the curves."""
    run(tmp_path)
    names = {name for line in read_journal(tmp_path / "work" / "journal") for name in line.values}
    assert {"voxmill_train_parameters", "voxmill_train_peak_memory_bytes"} <= names


@pytest.mark.parametrize(
    ("values", "learned"),
    [
        ([0.9, 0.8, 0.7, 0.6], True),
        ([0.9, 0.9, 0.95, 0.9], False),
        ([3.0, 1.0, 1.0, 1.0], False),
        ([float("nan"), 0.7, 0.8, 0.9], True),
    ],
)
def test_learned_means_better_than_before_the_first_step_and_than_silence(
    tmp_path, values, learned
):
    """A model that has only learned to write nothing (error rate 1) has not learned."""
    config = CONFIG.model_copy(update={"watch": "wer"})
    _, outcome = run(tmp_path, config, objective=Scripted(values))
    assert checks(outcome)["train.learned"] is learned
    assert outcome.verdict == ("passed" if learned else "failed")


def test_each_milestone_is_a_named_check(tmp_path):
    """A missed one fails the gate and can be waived by name; one beyond the plan is not asked."""
    limits = [{"after_epochs": n, "wer": wer} for n, wer in ((1, 0.85), (2, 0.6), (7, 0.1))]
    config = TrainConfig.model_validate(
        {**CONFIG.model_dump(), "watch": "wer", "milestones": limits}
    )
    _, outcome = run(tmp_path, config, objective=Scripted([0.9, 0.8, 0.7, 0.6]))
    found = {check.name: check for check in outcome.checks if "milestone" in check.name}
    assert {name: check.passed for name, check in found.items()} == {
        "train.milestone[1]": True,
        "train.milestone[2]": False,
    }
    missed = found["train.milestone[2]"]
    assert (missed.value, missed.limit) == ("wer 0.7000", "wer below 0.6 after epoch 2")
    assert outcome.verdict == "failed"


def test_a_milestone_beyond_an_early_end_says_that_the_training_ended(tmp_path):
    """Its value is the best so far."""
    milestone = {"after_epochs": 3, "wer": 0.1}
    config = TrainConfig.model_validate(
        {**CONFIG.model_dump(), "watch": "wer", "patience": 1, "milestones": [milestone]}
    )
    _, outcome = run(tmp_path, config, objective=Scripted([0.9, 0.5, 0.6]))
    [check] = [check for check in outcome.checks if "milestone" in check.name]
    assert check.value == "wer 0.5000 (lowest; training ended after epoch 2.00, patience)"
    assert not check.passed


def test_rules_and_log_lines_change_no_identity_but_further_evaluations_do(tmp_path):
    """A rule that is switched off lets the same training go on; a milestone's limit does, too."""
    prepared = toy_prepared(tmp_path)

    def identity(**more):
        config = TrainConfig.model_validate({**CONFIG.model_dump(), **more})
        return training_identity(toy_recipe(config), 1, prepared)

    plain = identity()
    assert identity(watchdog={"grace_steps": 7}, log_every_steps=3) == plain
    measured = identity(milestones=[{"after_epochs": 2, "wer": 0.5}])
    assert measured != plain
    assert identity(milestones=[{"after_epochs": 2, "wer": 0.1, "stop": True}]) == measured


def test_a_watched_value_that_never_is_a_number_fails_the_training(tmp_path):
    """There is no best checkpoint to hand on."""
    config = CONFIG.model_copy(update={"watch": "wer"})
    with pytest.raises(TrainingFailed, match="not finite at any of the evaluations"):
        run(tmp_path, config, objective=Scripted([float("nan")] * 4))


def test_a_stopped_stage_goes_on_in_its_next_attempt_and_says_from_where(tmp_path):
    """The curves are those of both attempts together."""
    asked = iter([False] * 20 + [True] * 1000)
    with pytest.raises(CheckpointedAndLeft):
        run(tmp_path, stop=lambda: next(asked))
    out, outcome = run(tmp_path, attempt=2)
    assert outcome.figures["resumed_from"] > 0
    steps = [json.loads(row)["step"] for row in (out / "curves.jsonl").open()]
    assert sorted(set(steps)) == list(range(outcome.figures["steps"] + 1))


def test_a_changed_setting_or_changed_data_starts_from_the_beginning(tmp_path):
    """Checkpoints of the former are not gone on from; threads change no result."""
    run(tmp_path)
    _, same = run(tmp_path, CONFIG.model_copy(update={"keep_checkpoints": 5}), attempt=2)
    assert same.figures["resumed_from"] == same.figures["steps"]
    _, changed = run(tmp_path, CONFIG.model_copy(update={"learning_rate": 0.05}), attempt=3)
    assert changed.figures["resumed_from"] is None


def test_the_identity_follows_prepares_output_through_its_report(tmp_path):
    """Hashes of its files, never its times."""
    prepared = toy_prepared(tmp_path)
    recipe = toy_recipe(CONFIG)
    bare = training_identity(recipe, 1, prepared)
    report = prepared / "report.json"
    report.write_text(json.dumps({"outputs": {"a": {"sha256": "1"}}, "seconds": 1}))
    one = training_identity(recipe, 1, prepared)
    report.write_text(json.dumps({"outputs": {"a": {"sha256": "1"}}, "seconds": 2}))
    assert training_identity(recipe, 1, prepared) == one
    report.write_text(json.dumps({"outputs": {"a": {"sha256": "2"}}, "seconds": 1}))
    assert len({bare, one, training_identity(recipe, 1, prepared)}) == 3
    assert training_identity(recipe, 2, prepared) not in {bare, one}
