"""Verify has nothing to do yet, and says so."""

from __future__ import annotations

from pathlib import Path

from toys.data_stages import DataStages
from voxmill.stages.verify import VerifyStage


def test_verify_does_not_apply_and_says_why(tmp_path: Path) -> None:
    """The verdict lets the next stage start; the reason is in the report."""
    outcome = DataStages(tmp_path).run(VerifyStage())
    assert outcome.verdict == "not_applicable"
    assert "used as the source has them" in str(outcome.figures["why"])
