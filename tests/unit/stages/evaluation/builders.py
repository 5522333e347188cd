"""Measurements made by hand, without any listening."""

from __future__ import annotations

from pathlib import Path

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.family import Artefact
from voxmill.scoring.confidence import Interval
from voxmill.scoring.error_rates import score_utterance
from voxmill.stages.evaluation.results import Measurement, Results, Transcript

RATE_HZ = 8000


def transcript(
    said: str,
    heard: str,
    *,
    id: str = "u1",  # noqa: A002
    speaker: str = "ann",
    seconds: float = 1.0,
    compute_seconds: float = 0.1,
    part: str = "all",
) -> Transcript:
    """One utterance with its hypothesis."""
    utterance = PreparedUtterance(
        id=id,
        split="test",
        shard="00000.pcm",
        offset_samples=0,
        samples=int(seconds * RATE_HZ),
        text=said,
        text_original=said,
        labels=(1,),
        speaker=speaker,
        subset="all",
        part=part,
    )
    return Transcript(
        utterance=utterance,
        hypothesis=heard,
        decoder="fake-greedy",
        audio_seconds=seconds,
        compute_seconds=compute_seconds,
        score=score_utterance(said, heard),
    )


def measurement(
    *transcripts: Transcript, artefact: str = "onnx-fp32", test_set: str = "test", size: int = 1000
) -> Measurement:
    """One artefact on one test set, with intervals of no meaning."""
    return Measurement(
        test_set=test_set,
        artefact=Artefact(name=artefact, path=Path(artefact), bytes=size),
        transcripts=transcripts,
        interval=Interval(0.1, 0.3),
        character_interval=Interval(0.02, 0.06),
    )


def results(*measurements: Measurement, main: str = "onnx-fp32") -> Results:
    """Several measurements together."""
    return Results(measurements=measurements, main_artefact=main)
