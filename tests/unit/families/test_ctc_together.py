"""Two processes make the update of the real network that one makes."""

from __future__ import annotations

import copy

import pytest
import torch

from fakes.team import ThreadTeam, crew, together
from toys.tone_speech import MODEL, write_prepared
from voxmill.families.ctc.family import CtcFamily
from voxmill.training.config import TrainConfig
from voxmill.training.schedule import schedule_for
from voxmill.training.supervised import SupervisedLearner
from voxmill.training.team import is_own

TRAIN = TrainConfig(seed=3, batch_seconds=8.0, buckets=4, threads=1, accumulation=4, warmup_steps=0)
CLOSE = 1e-5


def first_moments(learner: SupervisedLearner) -> list[torch.Tensor]:
    """After one update a tenth of the clipped gradient, by parameter."""
    states = learner._optimiser.state_dict()["state"]
    return [states[number]["exp_avg"] for number in sorted(states)]


@pytest.mark.parametrize("batches", [4, 3, 1])
def test_gradients_losses_and_statistics_are_those_of_one_process(tmp_path, batches):
    """One update from the same weights, dropout left out; a window of 1 leaves one with nothing."""
    encoder = MODEL.encoder.model_copy(update={"dropout": 0.0})
    kit = CtcFamily().kit(
        prepared=tmp_path,
        utterances=write_prepared(tmp_path, utterances=60),
        model=MODEL.model_copy(update={"encoder": encoder}),
        train=TRAIN,
        stop=lambda: False,
    )
    alone, team = kit.learner, crew(2)
    models = [copy.deepcopy(alone.model) for _ in team]
    window = [kit.batches.batch(0, place) for place in range(batches)]

    def step(member: ThreadTeam) -> tuple[SupervisedLearner, dict[str, float]]:
        learner = SupervisedLearner(
            models[member.rank],
            alone._objective,
            TRAIN,
            schedule_for(TRAIN, kit.batches),
            team=member,
        )
        own = [batch for place, batch in enumerate(window) if is_own(member, place, 4)]
        return learner, learner.step(own)

    stepped = together(step, team)
    expected = alone.step(window)
    for learner, values in stepped:
        assert values == pytest.approx(expected, abs=CLOSE, rel=CLOSE)
        for moment, same in zip(first_moments(learner), first_moments(alone), strict=True):
            torch.testing.assert_close(moment, same, atol=CLOSE / 10, rtol=0)
        for name, buffer in learner.model.named_buffers():
            same = alone.model.get_buffer(name)
            torch.testing.assert_close(buffer, same, atol=CLOSE, rtol=0, msg=name)
