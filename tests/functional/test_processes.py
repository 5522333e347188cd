"""Two processes train what one trains, and whatever becomes of one of them, nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from toys.family import toy_prepared
from toys.team_process import Load, run
from voxmill.training.checkpoint import load_checkpoint

CLOSE = 1e-5
UTTERANCES = 43
"""In 10 batches: the last window of an epoch leaves the second of two processes without one."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["voxmill.stages.train", "voxmill.training.supervised"])
SLOW = Load(delay_seconds=0.05)


class Attempt:
    """One try of a training in one or several processes."""

    def __init__(self, folder: Path, number: int, processes: int, load: Load):
        self.out = folder / f"out.{number}"
        self._folder, self._said = folder, folder / f"said.{number}"
        for pid in folder.glob("rank-*.pid"):
            pid.unlink()
        self.process = FORKS.Process(target=run, args=(folder, number, processes, load))
        self.process.start()

    def reached(self, step: int) -> bool:
        """Waits for a checkpoint of at least that step; false where it ended before."""
        latest = self._folder / "work" / "checkpoints" / "latest.json"
        while self.process.is_alive():
            if latest.exists() and json.loads(latest.read_text())["step"] >= step:
                return True
            time.sleep(0.02)
        return False

    def pids(self) -> list[int]:
        """Process ids of those that train, by rank."""
        return [int(path.read_text()) for path in sorted(self._folder.glob("rank-*.pid"))]

    def exit_code(self) -> int:
        self.process.join(timeout=120)
        return self.process.exitcode

    def said(self) -> str:
        return self._said.read_text()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pids: list[int]) -> bool:
    """Waits until none of them is there any more."""
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def trained(folder: Path, processes: int, load: Load) -> Path:
    """The output of a training that nobody disturbed."""
    toy_prepared(folder / "prepare", UTTERANCES)
    attempt = Attempt(folder, 1, processes, load)
    assert attempt.exit_code() == 0
    return attempt.out


def learner_state(checkpoint: Path) -> dict:
    return load_checkpoint(checkpoint).state["learner"]


def assert_close_curves(out: Path, other: Path) -> None:
    found, expected = (
        [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
        for folder in (out, other)
    )
    assert [(line["step"], line["labels"]) for line in found] == [
        (line["step"], line["labels"]) for line in expected
    ]
    for line, same in zip(found, expected, strict=True):
        assert line["values"] == pytest.approx(same["values"], abs=CLOSE), line["step"]


def assert_close_checkpoints(out: Path, other: Path) -> None:
    for name in ("best", "last"):
        found, expected = (load_checkpoint(folder / name) for folder in (out, other))
        assert found.step == expected.step
        learned, same = found.state["learner"], expected.state["learner"]
        assert learned["model"].keys() == same["model"].keys()
        for parameter, value in learned["model"].items():
            torch.testing.assert_close(value, same["model"][parameter], atol=CLOSE, rtol=0)
        for number, moments in same["optimiser"]["state"].items():
            found_moments = learned["optimiser"]["state"][number]
            torch.testing.assert_close(
                found_moments["exp_avg"], moments["exp_avg"], atol=CLOSE, rtol=0
            )
        positions = found.state["position"], expected.state["position"]
        for position in positions:
            del position["seconds"]
        assert positions[0] == pytest.approx(positions[1], abs=CLOSE)


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def test_one_process_and_two_by_turns_train_what_one_trains(tmp_path):
    """Two, stopped; one, stopped; two to the end: curves, weights, moments, best and position."""
    alone = trained(tmp_path / "alone", 1, Load())
    folder = tmp_path / "turns"
    toy_prepared(folder / "prepare", UTTERANCES)
    for number, (processes, step) in enumerate(((2, 3), (1, 9)), start=1):
        attempt = Attempt(folder, number, processes, SLOW)
        assert attempt.reached(step)
        os.kill(attempt.process.pid, signal.SIGTERM)
        assert attempt.exit_code() == 75
        assert "Asked to stop: checkpoint of step" in attempt.said()
        assert gone(attempt.pids())
    last = Attempt(folder, 3, 2, Load())
    assert last.exit_code() == 0
    assert_close_curves(last.out, alone)
    assert_close_checkpoints(last.out, alone)
    report = json.loads((last.out / "report.json").read_text())
    assert report["figures"]["processes"] == 2
    assert report["figures"]["resumed_from"] >= 9
    assert report["verdict"] == "passed"


def test_whoever_dies_ends_all_and_the_next_try_ends_as_if_nobody_had(tmp_path):
    """The launcher is killed, then one process; dropout goes on bit for bit in each of them."""
    straight = trained(tmp_path / "straight", 2, Load(dropout=0.1))
    folder, slow = tmp_path / "killed", Load(dropout=0.1, delay_seconds=0.05)
    toy_prepared(folder / "prepare", UTTERANCES)

    orphaned = Attempt(folder, 1, 2, slow)
    assert orphaned.reached(3)
    os.kill(orphaned.process.pid, signal.SIGKILL)
    assert orphaned.exit_code() == -signal.SIGKILL
    assert gone(orphaned.pids())

    bereaved = Attempt(folder, 2, 2, slow)
    assert bereaved.reached(9)
    victim, *_ = bereaved.pids()[1:]
    os.kill(victim, signal.SIGKILL)
    assert bereaved.exit_code() == 128 + signal.SIGKILL
    assert "Process 2 of 2 of stage train died of SIGKILL" in bereaved.said()
    assert gone(bereaved.pids())

    last = Attempt(folder, 3, 2, Load(dropout=0.1))
    assert last.exit_code() == 0
    assert equal(learner_state(last.out / "last"), learner_state(straight / "last"))
    assert (last.out / "curves.jsonl").read_bytes() == (straight / "curves.jsonl").read_bytes()
    generators = learner_state(straight / "last")
    assert not equal(generators["random"]["torch"], generators["random_of_others"][0]["torch"])


def test_a_bug_in_one_process_ends_all_with_its_words(tmp_path):
    """The other one, which waits for it, is ended; the message says which one and what."""
    toy_prepared(tmp_path / "prepare", UTTERANCES)
    attempt = Attempt(tmp_path, 1, 2, Load(fails_in_rank=1))
    assert attempt.exit_code() == 1
    assert attempt.said().startswith(
        "Process 2 of 2 of stage train failed: TypeError: a bug in one process"
    )
    assert gone(attempt.pids())
