"""Probe has nothing to do yet, and says so."""

from __future__ import annotations

from pathlib import Path

from toys.data_stages import DataStages
from voxmill.stages.probe import ProbeStage


def test_probe_does_not_apply_and_says_why(tmp_path: Path) -> None:
    """The verdict lets training start; the reason is in the report."""
    outcome = DataStages(tmp_path).run(ProbeStage())
    assert outcome.verdict == "not_applicable"
    assert "train.learned" in str(outcome.figures["why"])
