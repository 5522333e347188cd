"""The loop: what is due when, stopping anywhere, going on exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from toys.linear import ToyBatches, ToyObjective, toy_learner, toy_sequences
from voxmill.errors import CheckpointedAndLeft, DataError, UsageError
from voxmill.observability.catalogue import CATALOGUE
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig
from voxmill.training.loop import Training, train

CONFIG = TrainConfig(
    epochs=3, accumulation=2, learning_rate=0.05, warmup_steps=3, keep_checkpoints=50
)


@dataclass
class Notes:
    """A recorder that keeps everything."""

    lines: list = field(default_factory=list)

    def record(self, values, *, step, labels=None):
        assert set(values) <= set(CATALOGUE)
        self.lines.append((step, dict(values), dict(labels or {})))

    def flush(self):
        pass

    def steps_with(self, name):
        return [step for step, values, _ in self.lines if name in values]

    def values_of(self, name):
        return [values[name] for _, values, _ in self.lines if name in values]


class StopAfter:
    """Asks to stop from the `count`-th question on."""

    def __init__(self, count):
        self.left = count

    def __call__(self):
        self.left -= 1
        return self.left < 0


class Scripted(ToyObjective):
    """Evaluations give these values, one after the other."""

    def __init__(self, values):
        super().__init__()
        self._values = iter(values)

    def validate(self, model, batches):
        list(batches)
        return {"wer": next(self._values)}


def training(folder, config=CONFIG, *, objective=None, **more):
    batches = ToyBatches(toy_sequences(40))
    return Training(
        learner=toy_learner(config, batches, objective=objective),
        batches=batches,
        validation=ToyBatches(toy_sequences(20, seed=8)),
        config=config,
        checkpoints=CheckpointStore(folder, config.keep_checkpoints),
        **more,
    )


def final_state(folder):
    found = CheckpointStore(folder, 50).newest_valid()
    position = {k: v for k, v in found.state["position"].items() if k != "seconds"}
    return position, found.state["learner"]


def same(one, other):
    """Bit-equal, all the way down."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_each_epoch_ends_with_its_own_shorter_window_and_an_evaluation(tmp_path):
    """An odd number of batches in windows of two: the last step of an epoch has one."""
    notes = Notes()
    task = training(tmp_path, recorder=notes)
    count = task.batches.batch_count(0)
    assert count % 2 == 1
    result = train(task)
    steps = (count + 1) // 2
    assert (result.steps, result.epochs, result.ending) == (3 * steps, 3.0, "epochs")
    assert notes.steps_with("voxmill_train_loss") == list(range(1, 3 * steps + 1))
    assert notes.steps_with("voxmill_wer_ratio") == [0, steps, 2 * steps, 3 * steps]
    assert task.batches.asked == [(e, p) for e in range(3) for p in range(count)]


def test_max_steps_end_within_an_epoch_with_evaluation_and_checkpoint(tmp_path):
    """The result of the last step is measured and kept."""
    notes = Notes()
    config = CONFIG.model_copy(update={"max_steps": 4})
    result = train(training(tmp_path, config, recorder=notes))
    assert (result.steps, result.ending) == (4, "max_steps")
    assert notes.steps_with("voxmill_wer_ratio")[-1] == 4
    assert CheckpointStore(tmp_path, 3).newest_valid().step == 4


def test_evaluations_and_checkpoints_keep_their_own_intervals(tmp_path):
    """Besides, an improvement is always saved: it is the best."""
    notes = Notes()
    config = CONFIG.model_copy(
        update={"evaluate_every_steps": 4, "checkpoint_every_steps": 5, "max_steps": 11}
    )
    objective = Scripted([0.9, 0.8, 0.85, 0.86])
    result = train(training(tmp_path, config, objective=objective, recorder=notes))
    assert notes.steps_with("voxmill_wer_ratio") == [0, 4, 8, 11]
    assert notes.steps_with("voxmill_checkpoint_step") == [4, 5, 10, 11]
    assert (result.best_step, result.best_value) == (4, 0.8)
    assert CheckpointStore(tmp_path, 3).best_step() == 4


def test_patience_counts_evaluations_without_a_better_value_and_not_the_first(tmp_path):
    """The value before the first step is compared with, never the best; NaN is never better."""
    values = [0.1, 0.9, 0.5, 0.6, float("nan"), 0.4]
    config = CONFIG.model_copy(update={"epochs": 9, "patience": 2})
    result = train(training(tmp_path, config, objective=Scripted(values)))
    assert result.ending == "patience"
    assert (result.first_value, result.best_value) == (0.1, 0.5)
    assert result.epochs == 4.0


@pytest.mark.parametrize(
    ("changes", "best", "epochs"),
    [
        ({"warmup_steps": 0}, 0.5, 3.0),
        ({"warmup_steps": 20}, 0.5, 6.0),  # counted from the end of the warm-up on
        ({"warmup_steps": 0}, 1.0, 7.0),  # silence at a WER of 1: until the grace is over
    ],
)
def test_patience_lets_a_network_be_that_has_not_begun(tmp_path, changes, best, epochs):
    """CTC is silent at first, and a warm-up of small steps shows nothing of what comes."""
    watchdog = CONFIG.watchdog.model_copy(update={"grace_steps": 25})
    config = CONFIG.model_copy(update={"epochs": 9, "patience": 2, "watchdog": watchdog, **changes})
    values = [2.0, best, best, best, best, best, best, best, best, best]
    result = train(training(tmp_path, config, objective=Scripted(values)))
    assert (result.ending, result.epochs) == ("patience", epochs)


@pytest.mark.parametrize("stop_after", range(0, 42, 3))
def test_a_stop_anywhere_checkpoints_and_the_rest_is_bit_equal(tmp_path, stop_after):
    """Before the first step, in warm-up, in training and amid evaluations, up to three times."""
    straight, halted = Notes(), Notes()
    train(training(tmp_path / "straight", recorder=straight))
    for attempt in range(4):
        stop = StopAfter(stop_after if attempt < 3 else 10_000)
        task = training(tmp_path / "halted", recorder=halted, stop_requested=stop)
        if attempt:
            torch.manual_seed(1000 + attempt)  # another process starts with other generators
        try:
            train(task)
            break
        except CheckpointedAndLeft:
            continue
    else:
        pytest.fail("never came to the end")
    assert same(final_state(tmp_path / "straight"), final_state(tmp_path / "halted"))
    for name in ("voxmill_train_loss", "voxmill_wer_ratio", "voxmill_train_learning_rate"):
        assert straight.values_of(name) == halted.values_of(name)


def test_a_finished_training_started_again_does_nothing_more(tmp_path):
    """Its result is there at once."""
    first = train(training(tmp_path))
    again = training(tmp_path)
    result = train(again)
    assert result.resumed_from == first.steps
    assert (result.best_value, result.steps) == (first.best_value, first.steps)
    again_state = final_state(tmp_path)
    assert again_state[0]["step"] == first.steps


def test_a_lost_best_checkpoint_makes_the_next_evaluation_the_best(tmp_path, caplog):
    """Damage to the best and all after it: the run goes on from before, and says so."""
    config = CONFIG.model_copy(update={"epochs": 2})
    result = train(training(tmp_path, config))
    for folder in tmp_path.glob("step-*"):
        if int(folder.name[5:]) >= result.best_step:
            (folder / "state.pt").write_bytes(b"")
    again = train(training(tmp_path, config))
    assert again.resumed_from < result.best_step
    assert (again.best_step, again.best_value) == (result.best_step, result.best_value)
    assert "instead" in caplog.text


def test_every_step_tells_loss_rate_norm_pace_wait_and_time_to_go(tmp_path):
    """What dashboards and progress need, at each step."""
    notes = Notes()
    train(training(tmp_path, recorder=notes))
    expected = {
        "voxmill_train_loss",
        "voxmill_train_learning_rate",
        "voxmill_train_gradient_norm",
        "voxmill_train_utterances_per_second",
        "voxmill_train_audio_seconds_per_second",
        "voxmill_train_data_wait_ratio",
        "voxmill_train_eta_seconds",
        "voxmill_train_step",
        "voxmill_train_epoch",
        "voxmill_train_skipped_updates_total",
        "voxmill_train_infinite_losses_total",
        "voxmill_checkpoint_age_seconds",
    }
    steps = [values for _, values, _ in notes.lines if "voxmill_train_loss" in values]
    assert all(set(values) == expected for values in steps)
    assert steps[-1]["voxmill_train_eta_seconds"] == 0.0
    assert steps[-1]["voxmill_train_epoch"] == 3.0
    assert all(0 <= values["voxmill_train_data_wait_ratio"] <= 1 for values in steps)


def test_an_attempt_opens_with_its_plan_and_evaluations_tell_the_watched_value(tmp_path):
    """Alerts wait past the warm-up and compare the newest watched value with the one before."""
    notes = Notes()
    result = train(training(tmp_path, recorder=notes))
    step, opening, _ = notes.lines[0]
    assert (step, opening) == (
        0,
        {
            "voxmill_train_resumed_step": 0,
            "voxmill_train_total_steps": result.steps,
            "voxmill_train_warmup_steps": CONFIG.warmup_steps,
            "voxmill_train_checkpoint_steps": result.steps / CONFIG.epochs,
        },
    )
    watched = notes.values_of("voxmill_train_watched_value")
    assert watched == notes.values_of("voxmill_wer_ratio")
    assert watched[-1] == result.last_value
    assert notes.values_of("voxmill_train_previous_watched_value") == watched[:-1]


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"checkpoint_every_steps": 3, "evaluate_every_steps": 5}, 3),
        ({"evaluate_every_steps": 5}, 5),
    ],
)
def test_an_attempt_tells_how_often_it_means_to_save(tmp_path, changes, steps):
    """At its own interval, else at each evaluation; a late checkpoint is held against it."""
    notes = Notes()
    train(training(tmp_path, recorder=notes, config=CONFIG.model_copy(update=changes)))
    assert notes.values_of("voxmill_train_checkpoint_steps") == [steps]


def test_a_watched_metric_that_is_not_measured_is_found_before_the_first_step(tmp_path):
    """The message names what there is."""
    notes = Notes()
    config = CONFIG.model_copy(update={"watch": "cer"})
    with pytest.raises(UsageError, match=r"train\.watch is 'cer'.*loss, wer"):
        train(training(tmp_path, config, recorder=notes))
    assert not notes.steps_with("voxmill_train_loss")


@pytest.mark.parametrize(
    ("which", "message"),
    [("batches", "training split has no"), ("validation", "validation split is empty")],
)
def test_empty_splits_are_refused_with_what_to_do(tmp_path, which, message):
    """Nothing is written."""
    task = training(tmp_path)
    task = Training(**{**task.__dict__, which: ToyBatches([])})
    with pytest.raises(DataError, match=message):
        train(task)
    assert not list(tmp_path.glob("step-*"))


def test_an_error_while_a_batch_is_made_reaches_the_caller(tmp_path):
    """The loading thread hides nothing, and the recorder is flushed."""

    class Broken(ToyBatches):
        def batch(self, epoch, position):
            if (epoch, position) == (1, 2):
                raise DataError("shard 00003.pcm is shorter than its index says")
            return super().batch(epoch, position)

    task = Training(**{**training(tmp_path).__dict__, "batches": Broken(toy_sequences(40))})
    with pytest.raises(DataError, match=r"00003\.pcm"):
        train(task)
