"""The bench of training on a GPU, tried out at toy sizes on a CPU; its figures are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "bench/gpu_training.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """Three of its variants, as `--json` gives them."""
    chosen = ("voxmill-fp32", "voxmill-bf16", "trainer-fp32")
    done = bench("--device", "cpu", "--tiny", "--json", "--only", *chosen)
    assert done.returncode == 0, done.stderr[-6000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert tuple(found["variants"]) == chosen
    return found


def test_both_loops_train_the_same_network_on_the_same_batches(measured) -> None:
    """Else a ratio of their speeds would compare two different things."""
    ours, trainer = (measured["variants"][name] for name in ("voxmill-fp32", "trainer-fp32"))
    assert len(ours["losses"]) == measured["size"]["warm_up"] + measured["size"]["updates"]
    assert trainer["losses"] == pytest.approx(ours["losses"], rel=1e-4)
    assert trainer["audio_seconds"] == pytest.approx(ours["audio_seconds"])


def test_a_precision_changes_the_losses_a_little(measured) -> None:
    """Equal ones would mean that the setting did not arrive."""
    full, half = (measured["variants"][f"voxmill-{kind}"]["losses"] for kind in ("fp32", "bf16"))
    assert half != pytest.approx(full, rel=1e-7)
    assert half == pytest.approx(full, rel=0.02)


def test_without_a_gpu_its_share_of_work_is_left_open(measured) -> None:
    """No figure is better than an invented one."""
    for variant in measured["variants"].values():
        assert variant["busy_share"] is None
        assert variant["busy_trouble"] == "no GPU"
        assert 0 <= variant["data_wait_share"] < 1
        assert variant["peak_memory_bytes"] > 0
