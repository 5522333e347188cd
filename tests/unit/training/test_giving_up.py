"""The loop under its watchdog: it saves, says why, and stays ended until the settings change."""

from __future__ import annotations

import math

import pytest
import torch

from toys.linear import ToyBatches, ToyObjective, toy_learner, toy_sequences
from voxmill.errors import CheckpointedAndLeft, TrainingFailed
from voxmill.observability.catalogue import UncataloguedMetricError, check_labels, check_names
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig
from voxmill.training.loop import Training, train

SILENT = {"wer": 1.0, "blank_ratio": 1.0, "token_diversity_ratio": 0.0}
SPEAKING = {"wer": 0.3, "blank_ratio": 0.5, "token_diversity_ratio": 1.0}
COLLAPSING = [SILENT, SPEAKING, *([SILENT] * 30)]


class Played(ToyObjective):
    """Evaluations give these figures, by step; training losses are what they are."""

    def __init__(self, rows, *, loss_factor=None):
        super().__init__()
        self.rows = rows
        self.learner = None
        self.loss_factor = loss_factor or (lambda step: 1.0)
        self.steps = 0

    def loss(self, model, batch):
        self.steps += 1
        found = super().loss(model, batch)
        return type(found)(
            total=found.total * self.loss_factor(self.steps),
            weight=found.weight,
            values=found.values,
        )

    def validate(self, model, batches):
        list(batches)
        return dict(self.rows[self.learner.state()["updates"] // EVERY])


class Notes:
    """A recorder that keeps everything, and what of it was flushed."""

    def __init__(self):
        self.lines, self.flushed = [], 0

    def record(self, values, *, step, labels=None):
        check_names(values)
        for name in values:
            check_labels(name, labels or {})
        self.lines.append((step, dict(values), dict(labels or {})))

    def flush(self):
        self.flushed = len(self.lines)

    def of(self, name):
        return [(step, v[name], labels) for step, v, labels in self.lines if name in v]


EVERY = 2
CONFIG = TrainConfig(
    epochs=20,
    learning_rate=0.01,
    warmup_steps=1,
    evaluate_every_steps=EVERY,
    keep_checkpoints=50,
    max_steps=40,
)


def changed(config=CONFIG, **more) -> TrainConfig:
    return TrainConfig.model_validate({**config.model_dump(), **more})


def training(folder, rows, config=CONFIG, *, loss_factor=None, **more):
    batches = ToyBatches(toy_sequences(40))
    objective = Played(rows, loss_factor=loss_factor)
    learner = toy_learner(config, batches, objective=objective)
    objective.learner = learner
    return Training(
        learner=learner,
        batches=batches,
        validation=ToyBatches(toy_sequences(8, seed=8)),
        config=config,
        checkpoints=CheckpointStore(folder, config.keep_checkpoints),
        **more,
    )


def test_a_collapse_ends_the_training_with_its_best_checkpoint_kept(tmp_path):
    """Spoke at step 2, silent at 4, 6 and 8: saved, recorded, flushed, told."""
    notes = Notes()
    with pytest.raises(TrainingFailed) as failed:
        train(training(tmp_path, COLLAPSING, recorder=notes))
    assert failed.value.exit_code == 70
    text = str(failed.value)
    assert "Training stopped at step 8 (epoch " in text
    assert "the best checkpoint, of step 2 (wer 0.3000), and the newest, of step 8" in text
    assert str(tmp_path) in text
    store = CheckpointStore(tmp_path, 50)
    assert (store.best_step(), store.newest_valid().step) == (2, 8)
    assert notes.of("voxmill_train_stopped") == [(8, 1.0, {"reason": "collapse"})]
    assert notes.flushed == len(notes.lines)
    counts = [value for _, value, _ in notes.of("voxmill_train_collapsed_evaluations")]
    assert counts == [0, 0, 1, 2, 3]


def test_an_ended_training_stays_ended_under_the_same_settings(tmp_path):
    """A retry must not go on as if nothing had been found; it makes no step."""
    with pytest.raises(TrainingFailed) as first:
        train(training(tmp_path, COLLAPSING))
    notes = Notes()
    with pytest.raises(TrainingFailed) as again:
        train(training(tmp_path, COLLAPSING, recorder=notes))
    assert str(first.value) in str(again.value)
    assert "start a new run with other settings" in str(again.value)
    assert not notes.of("voxmill_train_loss")


def test_an_ended_training_goes_on_when_the_rule_is_switched_off(tmp_path):
    """From where it was, on the same checkpoints."""
    with pytest.raises(TrainingFailed):
        train(training(tmp_path, COLLAPSING))
    rules = {name: {"evaluations": None} for name in ("collapse", "regression", "stuck")}
    result = train(training(tmp_path, COLLAPSING, changed(watchdog=rules)))
    assert (result.resumed_from, result.steps, result.best_step) == (8, 40, 2)


@pytest.mark.parametrize("stop_after", range(0, 40, 3))
def test_stops_in_between_change_nothing_of_the_verdict(tmp_path, stop_after):
    """Asked to leave at any moment, even amid an evaluation: nothing forgotten, nothing twice."""
    left = stop_after

    def asked():
        nonlocal left
        left -= 1
        return left < 0

    told = None
    for attempt in range(2):
        torch.manual_seed(attempt)
        stop = (lambda: False) if attempt else asked
        try:
            train(training(tmp_path, COLLAPSING, stop_requested=stop))
        except CheckpointedAndLeft:
            continue
        except TrainingFailed as failed:
            told = str(failed)
            break
    assert "stopped at step 8 " in told
    assert "at 3 evaluations in a row (steps 4 to 8)" in told


def test_an_explosion_ends_it_within_an_epoch_of_whatever_length(tmp_path):
    """It does not wait for the next evaluation."""
    config = changed(
        evaluate_every_steps=1000,
        max_steps=200,
        watchdog={"explosion": {"steps": 5, "factor": 2.0}},
        learning_rate=1e-5,
    )
    with pytest.raises(TrainingFailed, match=r"step 25 .*: explosion\.") as failed:
        train(
            training(
                tmp_path, [SPEAKING] * 9, config, loss_factor=lambda step: 1 if step <= 20 else 90
            )
        )
    assert "no best checkpoint yet, and the newest, of step 25" in str(failed.value)
    assert CheckpointStore(tmp_path, 50).newest_valid().step == 25


def test_milestones_are_measured_where_their_epoch_ends(tmp_path):
    """Though evaluations come by steps; what was found there decides, not what came later."""
    notes = Notes()
    config = changed(
        epochs=3,
        max_steps=None,
        evaluate_every_steps=1000,
        milestones=[
            {"after_epochs": 1, "wer": 0.35},
            {"after_epochs": 2, "wer": 0.2, "cer": 0.5},
            {"after_epochs": 9, "wer": 0.1},
        ],
    )
    task = training(tmp_path, [{**SPEAKING, "cer": 0.1}] * 60, config, recorder=notes)
    steps = task.batches.batch_count(0)
    result = train(task)
    measured = [step for step, _, _ in notes.of("voxmill_wer_ratio")]
    assert measured == [0, steps, 2 * steps, 3 * steps]
    assert [
        (one.milestone.after_epochs, dict(one.values), one.reached, one.ended_before)
        for one in result.milestones
    ] == [(1, {"wer": 0.3}, True, False), (2, {"wer": 0.3, "cer": 0.1}, False, False)]


def test_a_milestone_that_was_not_come_to_is_judged_by_the_best_so_far(tmp_path):
    """A training that ended early and never was good enough has missed it."""
    config = changed(
        max_steps=6,
        milestones=[{"after_epochs": 5, "wer": 0.35}, {"after_epochs": 6, "wer": 0.2}],
    )
    rows = [SILENT, SPEAKING, {**SPEAKING, "wer": 0.31}, {**SPEAKING, "wer": 0.31}]
    result = train(training(tmp_path, rows, config))
    found = [(dict(one.values), one.reached, one.ended_before) for one in result.milestones]
    assert found == [({"wer": 0.3}, True, True), ({"wer": 0.3}, False, True)]


def test_a_milestone_may_end_the_training_even_at_its_last_step(tmp_path):
    """`stop: true`: exit code 70, with the limit and what was found."""
    milestone = {"after_epochs": 1, "wer": 0.25, "stop": True}
    config = changed(epochs=1, max_steps=None, evaluate_every_steps=1000, milestones=[milestone])
    with pytest.raises(TrainingFailed, match=r"wer 0\.3000; expected: wer below 0\.25") as failed:
        train(training(tmp_path, [SPEAKING] * 20, config))
    assert "milestone" in str(failed.value)
    assert failed.value.exit_code == 70


def test_milestones_survive_a_restart(tmp_path):
    """What was found at the end of an epoch is not measured again in a later one."""
    config = changed(max_steps=12, milestones=[{"after_epochs": 1, "wer": 0.35}])
    first = train(training(tmp_path, [SPEAKING] * 30, config))
    again = train(training(tmp_path, [SPEAKING] * 30, config))
    assert again.milestones == first.milestones
    assert not first.milestones[0].ended_before


def test_a_checkpoint_from_before_there_was_a_watchdog_is_gone_on_from(tmp_path):
    """Runs in progress survive an upgrade."""
    train(training(tmp_path, [SPEAKING] * 30, changed(max_steps=4)))
    store = CheckpointStore(tmp_path, 50)
    state = store.newest_valid().state
    del state["watchdog"]
    store.save(4, state)
    assert train(training(tmp_path, [SPEAKING] * 30, changed(max_steps=8))).resumed_from == 4


def test_the_floor_and_the_counts_are_recorded_at_each_evaluation(tmp_path):
    """Alerts look at the trainer's own figures, and so cannot disagree with it."""
    notes = Notes()
    config = changed(max_steps=8, watchdog={"regression": {"floor": 0.25}})
    rows = [{"wer": value} for value in (1.0, 0.2, 0.24, 0.3, 0.4)]
    train(training(tmp_path, rows, config, recorder=notes))
    assert {value for _, value, _ in notes.of("voxmill_train_watched_floor_value")} == {0.25}
    counts = [value for _, value, _ in notes.of("voxmill_train_regressed_evaluations")]
    assert counts == [0, 0, 0, 1, 2]


def test_figures_of_each_decoder_carry_its_label(tmp_path):
    """Those of the watched one stand without; parts of the loss have names of their own."""
    notes = Notes()
    row = {
        "wer": 0.4, "cer": 0.2, "ctc_wer": 0.5, "ctc_cer": 0.25, "attention_wer": 0.4,
        "attention_cer": 0.2, "attention_token_accuracy_ratio": 0.9, "loss": 1.0, "ctc_loss": 1.5,
        "attention_loss": 0.5,
    }  # fmt: skip
    task = training(tmp_path, [row] * 9, changed(max_steps=2), recorder=notes)
    plain = task.learner.step
    task.learner.step = lambda window: {**plain(window), "ctc_loss": 1.4, "attention_loss": 0.6}
    train(task)
    validation = {"split": "validation"}
    assert notes.of("voxmill_wer_ratio")[-1] == (2, 0.4, validation)
    assert notes.of("voxmill_decoder_wer_ratio")[-2:] == [
        (2, 0.5, {**validation, "decoder": "ctc"}),
        (2, 0.4, {**validation, "decoder": "attention"}),
    ]
    accuracy = notes.of("voxmill_decoder_token_accuracy_ratio")
    assert accuracy[-1] == (2, 0.9, {**validation, "decoder": "attention"})
    assert notes.of("voxmill_attention_loss")[-1] == (2, 0.5, validation)
    assert notes.of("voxmill_train_ctc_loss") == [(1, 1.4, {}), (2, 1.4, {})]
    assert len(notes.of("voxmill_evaluation_seconds")) == len(notes.of("voxmill_wer_ratio"))


def test_a_figure_of_a_branch_that_is_not_trained_is_refused(tmp_path):
    """Random weights give a number too; beside a real one it would lie."""
    row = {"wer": 0.4, "attention_wer": 0.9}
    with pytest.raises(UncataloguedMetricError, match=r"attention_wer.*not trained"):
        train(training(tmp_path, [row] * 9, changed(max_steps=2)))


def test_without_error_rates_only_the_watched_value_and_the_loss_are_judged(tmp_path):
    """A voice has no words to get wrong."""
    rows = [{"loss": 0.5 if step < 3 else math.nan} for step in range(30)]
    with pytest.raises(TrainingFailed, match="regression"):
        train(training(tmp_path, rows, changed(watch="loss")))
