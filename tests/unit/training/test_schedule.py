"""Learning rates against transformers' own curves."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from voxmill.training.config import TrainConfig
from voxmill.training.schedule import CURVES, Schedule, total_steps

NAMES = {
    "constant": "constant_with_warmup",
    "linear": "linear",
    "cosine": "cosine",
    "inverse_sqrt": "inverse_sqrt",
}


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_curve_is_that_of_transformers(name, warmup):
    """Same factor at each step, warm-up included."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    oracle = get_scheduler(
        NAMES[name], optimiser, num_warmup_steps=warmup, num_training_steps=40
    ).lr_lambdas[0]
    for step in range(41):
        assert CURVES[name](step, warmup, 40) == pytest.approx(oracle(step), abs=1e-12)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_neither_the_first_nor_the_last_update_is_wasted(name):
    """Updates 1 to total all have a rate above zero, and none above the peak."""
    schedule = Schedule(name=name, learning_rate=0.1, warmup_steps=5, total_steps=20)
    rates = [schedule.rate(update) for update in range(1, 21)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert rates[4] == pytest.approx(0.1)


class _Counts:
    def batch_count(self, epoch):
        return 7 + epoch


def test_total_steps_counts_the_short_last_window_of_each_epoch():
    """7 and 8 batches in windows of 3 are 3 + 3 steps."""
    config = TrainConfig(epochs=2, accumulation=3)
    assert total_steps(config, _Counts()) == 6
    assert total_steps(config.model_copy(update={"max_steps": 5}), _Counts()) == 5
    assert total_steps(config.model_copy(update={"max_steps": 50}), _Counts()) == 6
