"""One update is one big batch, whatever the windows; what is not finite leaves no trace."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from toys.linear import (
    TRUTH,
    ToyBatches,
    ToyModel,
    ToyObjective,
    padded,
    toy_learner,
    toy_sequences,
)
from voxmill.errors import DataError, TrainingFailed, UsageError
from voxmill.training.config import TrainConfig
from voxmill.training.optimiser import adamw
from voxmill.training.supervised import MAX_CONSECUTIVE_SKIPS, SummedLoss

CONFIG = TrainConfig(epochs=4, learning_rate=0.05, warmup_steps=2, schedule="linear")


def learner(config=CONFIG, **more):
    return toy_learner(config, ToyBatches(toy_sequences(24)), **more)


def weights(of) -> torch.Tensor:
    return nn.utils.parameters_to_vector(of.model.parameters()).detach().clone()


class Spoiled(ToyObjective):
    """Gives a loss that is not finite for batches of one sequence."""

    def __init__(self, bad: float) -> None:
        super().__init__()
        self._bad = bad

    def loss(self, model, batch):
        found = super().loss(model, batch)
        if len(batch.lengths) == 1:
            return replace(found, total=found.total * self._bad)
        return found


def test_windows_of_unequal_batches_learn_what_one_big_batch_learns():
    """Five updates, each with a window of 1 to 3 batches of unequal lengths and sizes."""
    pairs = toy_sequences(24)
    windows = [
        [pairs[0:1], pairs[1:6]],
        [pairs[6:9], pairs[9:10], pairs[10:14]],
        [pairs[14:15]],
        [pairs[15:22], pairs[22:24]],
        [pairs[3:5], pairs[0:2]],
    ]
    apart = learner(model=ToyModel(dropout=0.0))
    together = learner(model=ToyModel(dropout=0.0))
    together.model.load_state_dict(apart.model.state_dict())
    for window in windows:
        one = apart.step([padded(part) for part in window])
        other = together.step([padded([pair for part in window for pair in part])])
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-6)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-5)
        assert one["audio_seconds"] == other["audio_seconds"]
    torch.testing.assert_close(weights(apart), weights(together), atol=1e-6, rtol=0)


class Parted(ToyObjective):
    """Tells two parts of its loss, which make up the whole."""

    def loss(self, model, batch):
        found = super().loss(model, batch)
        parts = {"ctc_loss": 0.25, "attention_loss": 0.75}
        told = {name: float(share * found.total.detach()) for name, share in parts.items()}
        return replace(found, values={**found.values, **told})


def test_parts_of_the_loss_are_means_as_the_whole_is():
    """Over the whole window: on one axis they must add up, whatever a batch weighs."""
    parted = learner(objective=Parted())
    pairs = toy_sequences(9)
    found = parted.step([padded(pairs[:2]), padded(pairs[2:])])
    assert found["ctc_loss"] == pytest.approx(0.25 * found["loss"])
    assert found["attention_loss"] == pytest.approx(0.75 * found["loss"])
    assert found["utterances"] == 9


def test_least_squares_is_found():
    """Noise-free data has one answer, and the learner gets there."""
    batches = ToyBatches(toy_sequences(64))
    config = TrainConfig(epochs=60, learning_rate=0.1, warmup_steps=5, weight_decay=0.0)
    found = toy_learner(config, batches, model=ToyModel(dropout=0.0))
    for epoch in range(60):
        for position in range(batches.batch_count(epoch)):
            found.step([batches.batch(epoch, position)])
    torch.testing.assert_close(
        found.model.linear.weight.detach()[0], torch.tensor(TRUTH), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_update_that_is_not_finite_leaves_no_trace(bad):
    """Weights, moments and batch norm statistics are as before, and it is counted."""
    found = learner(model=ToyModel(norm=True), objective=Spoiled(bad))
    found.step([padded(toy_sequences(4))])
    model = {name: value.clone() for name, value in found.model.state_dict().items()}
    moments = found.state()["optimiser"]["state"][0]["exp_avg"].clone()
    inputs = padded(toy_sequences(1))
    inputs.inputs[0, 0, 0] = math.nan
    values = found.step([padded(toy_sequences(4)), inputs])
    assert values["skipped_updates"] == 1.0
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, model[name]), name
    assert torch.equal(found.state()["optimiser"]["state"][0]["exp_avg"], moments)
    assert found.step([padded(toy_sequences(4))])["skipped_updates"] == 0.0
    assert not torch.equal(found.model.linear.weight, model["linear.weight"])


def test_too_many_in_a_row_end_the_training_with_step_and_remedy():
    """A single good update starts the count anew."""
    found = learner(objective=Spoiled(math.nan))
    good, bad = padded(toy_sequences(4)), padded(toy_sequences(1))
    for _ in range(MAX_CONSECUTIVE_SKIPS - 1):
        found.step([bad])
    found.step([good])
    for _ in range(MAX_CONSECUTIVE_SKIPS - 1):
        found.step([bad])
    with pytest.raises(TrainingFailed, match=rf"Step {2 * MAX_CONSECUTIVE_SKIPS}: .*not finite"):
        found.step([bad])


class Weightless(ToyObjective):
    """Has nothing to learn from."""

    def loss(self, model, batch):
        return SummedLoss(total=super().loss(model, batch).total * 0, weight=0.0)


def test_a_window_without_weight_is_left_out_and_counted():
    """Dividing by nothing is not finite, and the weights do not move."""
    found = learner(objective=Weightless())
    before = weights(found)
    assert found.step([padded(toy_sequences(2))])["skipped_updates"] == 1.0
    assert torch.equal(weights(found), before)


def test_going_on_from_a_state_is_bit_equal_to_never_having_stopped(tmp_path):
    """Weights, moments, schedule and every random generator, through the safe loader."""
    batches = [padded(toy_sequences(4, seed=seed)) for seed in range(6)]
    straight, halted = learner(), learner()
    for batch in batches[:3]:
        straight.step([batch])
        halted.step([batch])
    torch.save(halted.state(), tmp_path / "state.pt")
    torch.manual_seed(99)
    np.random.seed(99)
    gone_on = learner(TrainConfig(**{**CONFIG.model_dump(), "seed": 77}))
    gone_on.load(torch.load(tmp_path / "state.pt", weights_only=True))
    expected_draw = None
    for name, one in (("gone on", gone_on), ("straight", straight)):
        if name == "straight":
            straight.load(torch.load(tmp_path / "state.pt", weights_only=True))
        values = [one.step([batch]) for batch in batches[3:]]
        draw = (values, weights(one).tolist(), torch.rand(1).item(), np.random.random())
        assert expected_draw is None or draw == expected_draw
        expected_draw = draw


def test_a_validation_changes_neither_weights_nor_random_generators():
    """Also one that is broken off in the middle."""
    found = learner()
    state, random = weights(found), torch.get_rng_state()

    def broken():
        yield padded(toy_sequences(3))
        raise KeyboardInterrupt

    figures = found.validate([padded(toy_sequences(3))])
    assert set(figures) == {"loss", "wer"}
    with pytest.raises(KeyboardInterrupt):
        found.validate(broken())
    assert torch.equal(weights(found), state)
    assert torch.equal(torch.get_rng_state(), random)
    assert found.model.training


def test_decay_spares_biases_and_norms_and_frozen_parameters_are_left_out():
    """Only matrices are pulled towards zero."""
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    model.bias_u = nn.Parameter(torch.zeros(2, 2))
    model[2].requires_grad_(False)
    groups = adamw(model, 0.1, 0.3).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert [id(p) for p in groups[0]["params"]] == [id(model[0].weight)]
    assert {id(p) for p in groups[1]["params"]} == {
        id(p) for p in (model.bias_u, model[0].bias, model[1].weight, model[1].bias)
    }


def test_a_state_of_another_model_is_refused():
    """The message says which parameter and what to do."""
    other = learner(model=ToyModel(norm=True)).state()
    with pytest.raises(DataError, match=r"norm\.weight.*Start a new run"):
        learner().load(other)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU does fp16")
def test_fp16_without_a_gpu_is_refused_instead_of_silently_trained_in_fp32():
    """Accelerate would say nothing."""
    with pytest.raises(UsageError, match=r"fp16.*no GPU"):
        learner(TrainConfig(precision="fp16"))
