"""A training that was killed or stopped, however often, ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from toys.family import toy_prepared
from toys.train_process import run
from voxmill.training.checkpoint import load_checkpoint

FORKS = multiprocessing.get_context("forkserver")
# Imported once, not in each process; the server does not see pytest's path, so no toys here.
FORKS.set_forkserver_preload(
    ["voxmill.stages.train", "voxmill.training.supervised", "torch._dynamo"]
)


class Attempt:
    """One process of a training."""

    def __init__(self, folder: Path, number: int):
        self.out = folder / f"out.{number}"
        self._listener, sender = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=run, args=(folder, number, sender))
        self.process.start()
        sender.close()

    def heard(self, count: int, words: tuple[str, ...] = ("learning", "evaluating")) -> bool:
        """Waits until it has said so many of these words; False if it ended before."""
        while count > 0:
            try:
                count -= self._listener.recv() in words
            except EOFError:
                return False
        return True

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it may have come to its end by itself
            os.kill(self.process.pid, number)

    def exit_code(self) -> int:
        self.heard(10**9)
        self.process.join(timeout=60)
        return self.process.exitcode


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """The output of a training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    toy_prepared(folder / "prepare")
    attempt = Attempt(folder, 1)
    assert attempt.exit_code() == 0
    return attempt.out


def assert_as_if_undisturbed(out: Path, straight: Path) -> None:
    """Weights, moments, generators, best checkpoint and learning curves: bit for bit."""
    for name in ("last", "best"):
        found, expected = (load_checkpoint(folder / name) for folder in (out, straight))
        assert found.step == expected.step
        assert same(found.state["learner"], expected.state["learner"])
        for state in (found.state, expected.state):
            del state["position"]["seconds"]
        assert found.state["position"] == expected.state["position"]
        assert found.state["watchdog"] == expected.state["watchdog"]
    assert (out / "curves.jsonl").read_bytes() == (straight / "curves.jsonl").read_bytes()


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_kill_nine_at_random_moments_changes_nothing(tmp_path, straight):
    """Six kills, each a random number of batches and milliseconds after the start."""
    toy_prepared(tmp_path / "prepare")
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    killed = 0
    for number in range(1, 7):
        attempt = Attempt(tmp_path, number)
        if attempt.heard(moments.randint(1, 18)):
            time.sleep(moments.uniform(0, 0.06))
        attempt.send(signal.SIGKILL)
        killed += attempt.exit_code() == -signal.SIGKILL
    last = Attempt(tmp_path, 7)
    assert last.exit_code() == 0, f"seed {seed}"
    assert killed >= 3, f"seed {seed}"
    assert_as_if_undisturbed(last.out, straight)


def test_a_polite_stop_in_warm_up_training_and_evaluation_checkpoints_and_leaves_with_75(
    tmp_path, straight
):
    """At the start, in warm-up, after it, and twice in an evaluation: 75, then as if nothing."""
    toy_prepared(tmp_path / "prepare")
    checkpoints = tmp_path / "work" / "checkpoints"
    aims = [
        (("evaluating",), 1),  # the one before the first step
        (("learning",), 3),  # warm-up
        (("learning",), 9),
        (("evaluating",), 1),
        (("evaluating",), 2),
    ]
    for number, (words, count) in enumerate(aims, start=1):
        attempt = Attempt(tmp_path, number)
        assert attempt.heard(count, words)
        attempt.send(signal.SIGTERM)
        assert attempt.exit_code() == 75
        assert list(checkpoints.glob("step-*"))
        assert not list(checkpoints.glob(".writing-*"))
    last = Attempt(tmp_path, len(aims) + 1)
    assert last.exit_code() == 0
    assert_as_if_undisturbed(last.out, straight)


def test_a_flipped_byte_in_the_newest_checkpoint_costs_only_the_steps_since_the_one_before(
    tmp_path, straight
):
    """The one before is gone on from, and the end is the same."""
    toy_prepared(tmp_path / "prepare")
    attempt = Attempt(tmp_path, 1)
    assert attempt.heard(14, ("learning",))
    attempt.send(signal.SIGTERM)
    assert attempt.exit_code() == 75
    newest = max((tmp_path / "work" / "checkpoints").glob("step-*"))
    data = bytearray((newest / "state.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (newest / "state.pt").write_bytes(data)
    again = Attempt(tmp_path, 2)
    assert again.exit_code() == 0
    assert newest.with_name(f"{newest.name}.set-aside").is_dir()
    assert_as_if_undisturbed(again.out, straight)
