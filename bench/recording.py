"""What recording the twelve values of a training step costs: `python bench/recording.py`.

A row of JSON for the same values is the yardstick, measured in the same run.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from voxmill.observability.journal import JournalRecorder

STEPS = 20_000
VALUES = dict.fromkeys(
    [
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
    ],
    0.123456789,
)


def main() -> None:
    recording, writing = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        JournalRecorder(Path(folder), attempt=1) as journal,
    ):
        for step in range(STEPS):
            started = time.perf_counter()
            journal.record(VALUES, step=step)
            recording.append(time.perf_counter() - started)
            started = time.perf_counter()
            json.dumps({"step": step, "values": VALUES})
            writing.append(time.perf_counter() - started)
    print("microseconds a step      median      mean")
    for name, times in (("JournalRecorder.record", recording), ("json.dumps alone", writing)):
        median, mean = statistics.median(times) * 1e6, statistics.fmean(times) * 1e6
        print(f"{name:<24}{median:7.1f}{mean:10.1f}")


if __name__ == "__main__":
    main()
