"""The released figures on their way to dashboards."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.observability.recorder import Recorder
from voxmill.stages.evaluation.goals import Goal
from voxmill.stages.evaluation.results import Results


def record_results(recorder: Recorder, results: Results) -> None:
    """Records error rates and speed by test set and artefact, and sizes by artefact."""
    for measurement in results.measurements:
        recorder.record(
            {
                "voxmill_packaged_wer_ratio": measurement.score.wer,
                "voxmill_packaged_cer_ratio": measurement.score.cer,
                "voxmill_packaged_real_time_ratio": measurement.real_time_factor,
            },
            step=0,
            labels={"split": measurement.test_set, "artefact": measurement.artefact.name},
        )
    for name, artefact in results.artefacts.items():
        recorder.record(
            {"voxmill_packaged_bytes": float(artefact.bytes)},
            step=0,
            labels={"artefact": name},
        )


def record_goals(recorder: Recorder, goals: Sequence[Goal]) -> None:
    """Records which goals are reached."""
    for goal in goals:
        recorder.record(
            {"voxmill_goal_reached": float(goal.reached)},
            step=0,
            labels={"split": goal.test_set, "figure": goal.figure},
        )
