"""Condenses journals of real trainings into real_curves.json: `make_real_curves.py NAME=FOLDER …`.

Each is what the watchdog sees: planned steps, warm-up, the figures of every evaluation and the loss
of every fourth step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from voxmill.observability.curves import read_journal

CURVES = Path(__file__).with_name("real_curves.json")
FIGURES = {
    "voxmill_loss": "loss",
    "voxmill_wer_ratio": "wer",
    "voxmill_cer_ratio": "cer",
    "voxmill_blank_ratio": "blank_ratio",
    "voxmill_token_diversity_ratio": "token_diversity_ratio",
    "voxmill_frame_entropy_ratio": "frame_entropy_ratio",
}
EVERY = 4


def condensed(folder: Path) -> dict[str, Any]:
    """One training."""
    plan: dict[str, float] = {}
    evaluations: dict[int, dict[str, float]] = {}
    losses: dict[int, float] = {}
    for line in read_journal(folder):
        plan |= {
            k: v for k, v in line.values.items() if k.endswith(("total_steps", "warmup_steps"))
        }
        if line.labels == {"split": "validation"}:
            found = {FIGURES[k]: round(v, 4) for k, v in line.values.items() if k in FIGURES}
            evaluations[line.step] = found
        elif "voxmill_train_loss" in line.values and line.step % EVERY == 0:
            losses[line.step] = round(line.values["voxmill_train_loss"], 3)
    return {
        "planned_steps": int(plan.get("voxmill_train_total_steps", max(losses))),
        "warmup_steps": int(plan.get("voxmill_train_warmup_steps", 100)),
        "evaluations": [{"step": step, **figures} for step, figures in sorted(evaluations.items())],
        "losses": [list(pair) for pair in sorted(losses.items())],
    }


if __name__ == "__main__":
    known = json.loads(CURVES.read_text()) if CURVES.exists() else {}
    for argument in sys.argv[1:]:
        name, _, folder = argument.partition("=")
        known[name] = condensed(Path(folder))
    rows = [f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known)]
    CURVES.write_text("{\n" + ",\n".join(rows) + "\n}\n")
