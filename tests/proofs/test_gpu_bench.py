"""Proof that the bench of training on a GPU runs: every variant, at toy sizes, on a CPU.

Takes two minutes. `make proof AREA=gpu_bench`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_variant_runs_and_is_compared() -> None:
    """What someone with a GPU gets, in the form that a machine without one can make."""
    done = subprocess.run(
        [sys.executable, "bench/gpu_training.py", "--device", "cpu", "--tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert "failed" not in done.stdout
    for variant in ("fp32", "bf16", "bf16-one-bucket", "bf16-compiled"):
        assert f"| voxmill-{variant} |" in done.stdout
    for row in ("voxmill over Trainer, bf16", "compiled over eager", "bf16 beside fp32"):
        assert f"| {row} |" in done.stdout
    assert "voxmill-bf16-compiled: " in done.stdout, "nothing was compiled"
