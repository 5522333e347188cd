"""Several processes make the update that one makes of the same window, and stay of one mind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from fakes.team import ThreadTeam, crew, together
from toys.linear import ToyBatch, ToyModel, ToyObjective, padded, toy_sequences
from voxmill.errors import TrainingFailed, UsageError
from voxmill.training.config import TrainConfig
from voxmill.training.schedule import Schedule
from voxmill.training.supervised import MAX_CONSECUTIVE_SKIPS, SummedLoss, SupervisedLearner
from voxmill.training.team import is_own

CONFIG = TrainConfig(learning_rate=0.05, warmup_steps=2, weight_decay=0.1)
SCHEDULE = Schedule(name="cosine", learning_rate=0.05, warmup_steps=2, total_steps=20)
CLOSE = 1e-5


class Model(ToyModel):
    """With a batch norm, a parameter for short sequences alone, and one that nothing uses."""

    def __init__(self, dropout: float = 0.0, momentum: float | None = 0.1):
        super().__init__(dropout, norm=True)
        self.norm.momentum = momentum
        self.short = nn.Parameter(torch.tensor(0.5))
        self.unused = nn.Parameter(torch.ones(2, 2))

    def forward(self, inputs):
        outputs = super().forward(inputs)
        return outputs + self.short if inputs.shape[1] <= 5 else outputs


class Objective(ToyObjective):
    """A target that is not finite spoils the loss, one of 1000 has no weight."""

    def loss(self, model, batch):
        if batch.targets.numel() and batch.targets.flatten()[0] == 1000:
            return SummedLoss(total=(model(batch.inputs) * 0).sum(), weight=0.0)
        return super().loss(model, batch)


def spoiled(batch: ToyBatch, value: float) -> ToyBatch:
    targets = batch.targets.clone()
    targets.flatten()[0] = value
    return ToyBatch(inputs=batch.inputs, targets=targets, lengths=batch.lengths)


def a_learner(team: ThreadTeam | None = None, **model: float | None) -> SupervisedLearner:
    torch.manual_seed(1)
    return SupervisedLearner(Model(**model), Objective(), CONFIG, SCHEDULE, team=team)


def learners(team: Sequence[ThreadTeam], **model: float | None) -> list[SupervisedLearner]:
    """One for each member; each is made with other weights and takes over the first one's."""
    torch.manual_seed(1)
    models = [Model(**model) for _ in team]

    def made(member: ThreadTeam) -> SupervisedLearner:
        return SupervisedLearner(models[member.rank], Objective(), CONFIG, SCHEDULE, team=member)

    return together(made, team)


def step(team: Sequence[ThreadTeam], members: Sequence[SupervisedLearner], window) -> list[dict]:
    """Each member's values after a window that was shared out among them."""

    def part(member: ThreadTeam) -> dict[str, float]:
        own = [batch for place, batch in enumerate(window) if is_own(member, place, len(window))]
        return members[member.rank].step(own)

    return together(part, team)


def windows() -> list[list[ToyBatch]]:
    """Windows of 5 to 1 batches, of 1 to 4 sequences of 2 to 9 frames each."""
    pairs = iter(toy_sequences(40))
    sizes = ((1, 4, 2, 3, 1), (2, 2, 1), (4,), (3, 1, 2, 2), (1, 3), (2,))
    return [[padded([next(pairs) for _ in range(count)]) for count in window] for window in sizes]


def tensors(learner: SupervisedLearner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.model.state_dict().items()}


def assert_same_weights(one: SupervisedLearner, other: SupervisedLearner, *, atol: float) -> None:
    expected = tensors(other)
    for name, value in tensors(one).items():
        torch.testing.assert_close(value, expected[name], atol=atol, rtol=0, msg=name)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_several_processes_make_the_updates_that_one_makes(size):
    """Weights, statistics, values; also where windows are shorter than there are processes."""
    alone, team = a_learner(), crew(size)
    members = learners(team)
    for window in windows():
        expected = alone.step(window)
        for values in step(team, members, window):
            assert values.keys() == expected.keys()
            assert values == pytest.approx(expected, abs=CLOSE)
        assert_same_weights(members[0], alone, atol=CLOSE)
    for other in members[1:]:
        assert_same_weights(other, members[0], atol=0.0)
    assert members[0].model.norm.num_batches_tracked == 16


def test_the_gradients_are_those_of_one_process():
    """Before they are clipped and used, for windows of any size."""
    for window in windows():
        alone, team = a_learner(), crew(2)
        members = learners(team)
        norms = [values["gradient_norm"] for values in step(team, members, window)]
        assert norms == [pytest.approx(alone.step(window)["gradient_norm"], abs=CLOSE)] * 2
        moments = alone.state()["optimiser"]["state"]
        found = together(lambda one, of=members: of[one.rank].state(), team)[1]["optimiser"][
            "state"
        ]
        assert found.keys() == moments.keys()
        for number, moment in moments.items():
            torch.testing.assert_close(
                found[number]["exp_avg"], moment["exp_avg"], atol=CLOSE, rtol=0
            )


def test_a_parameter_that_no_process_uses_is_left_alone():
    """Weight decay would shrink it if it had a gradient of zeros."""
    team = crew(2)
    members = learners(team)
    for window in windows():
        step(team, members, window)
    assert torch.equal(members[1].model.unused, torch.ones(2, 2))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_in_one_process_is_left_out_in_all(bad):
    """Weights, moments and statistics stay, the skip is counted once, and all go on alike."""
    alone, team = a_learner(), crew(2)
    members = learners(team)
    good, broken, *rest = windows()
    broken[1] = spoiled(broken[1], bad)
    step(team, members, good)
    before = tensors(members[1])
    skips = [values["skipped_updates"] for values in step(team, members, broken)]
    assert skips == [1.0, 1.0]
    for name, value in tensors(members[1]).items():
        assert torch.equal(value, before[name]), name
    for window in (good, broken):
        alone.step(window)
    for window in rest:
        assert step(team, members, window)[1] == pytest.approx(alone.step(window), abs=CLOSE)
    assert_same_weights(members[1], alone, atol=CLOSE)


def test_all_processes_give_up_at_the_same_update():
    """Too many in a row that are not finite."""
    team = crew(2)
    members = learners(team)
    broken = windows()[1]
    broken[2] = spoiled(broken[2], math.nan)

    def learn(member: ThreadTeam) -> str:
        own = [batch for place, batch in enumerate(broken) if is_own(member, place, 3)]
        for _ in range(MAX_CONSECUTIVE_SKIPS - 1):
            members[member.rank].step(own)
        with pytest.raises(TrainingFailed) as failed:
            members[member.rank].step(own)
        return str(failed.value)

    first, second = together(learn, team)
    assert first == second
    assert f"Step {MAX_CONSECUTIVE_SKIPS}:" in first


def test_a_window_without_weight_in_one_process_counts_for_nothing():
    """The other process's batch is the whole update; without any weight there is none."""
    alone, team = a_learner(), crew(2)
    members = learners(team)
    window = windows()[1]
    window[0] = spoiled(window[0], 1000)
    assert step(team, members, window)[0] == pytest.approx(alone.step(window), abs=CLOSE)
    assert_same_weights(members[0], alone, atol=CLOSE)
    nothing = [spoiled(batch, 1000) for batch in windows()[1]]
    assert [values["skipped_updates"] for values in step(team, members, nothing)] == [1.0, 1.0]


def test_a_norm_that_takes_the_mean_over_all_batches_is_refused():
    """Its statistics cannot be shared; in one process it works."""
    a_learner(momentum=None).step(windows()[0])
    with pytest.raises(UsageError, match=r"Batch norm norm .*resources\.processes to 1"):
        learners(crew(2), momentum=None)
