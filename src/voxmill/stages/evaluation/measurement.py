"""Listening to the test sets with the packaged artefacts, one utterance at a time, with a watch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import CheckpointedAndLeft
from voxmill.families.family import Artefact, Family, Recogniser, Samples
from voxmill.scoring.confidence import Interval, bootstrap_interval
from voxmill.scoring.error_rates import ErrorCounts, score_utterances
from voxmill.stages.evaluation.progress import Heard, Progress
from voxmill.stages.evaluation.results import Measurement, Transcript

logger = logging.getLogger(__name__)

TestSets = Mapping[str, Sequence[PreparedUtterance]]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What measuring needs besides artefacts and utterances."""

    family: Family
    decoder: str
    """As `Family.recogniser` takes it."""
    samples: Callable[[PreparedUtterance], Samples]
    """Reads the recording of an utterance: (N,) in [-1, 1], or (T, D) features."""
    sample_rate_hz: float
    """Of features: steps a second."""
    clock: Callable[[], float]
    """Seconds, monotonic."""
    stop_requested: Callable[[], bool]
    progress: Progress
    bootstrap_samples: int


def measure(
    bench: Bench, artefacts: Sequence[Artefact], test_sets: TestSets
) -> tuple[Measurement, ...]:
    """Every artefact on every test set, in that order.

    Raises:
        CheckpointedAndLeft: A stop was requested; what was heard so far is saved.
    """
    return tuple(
        measurement
        for artefact in artefacts
        for measurement in _measure_artefact(bench, artefact, test_sets)
    )


def _measure_artefact(bench: Bench, artefact: Artefact, test_sets: TestSets) -> list[Measurement]:
    ear = _Ear(bench, artefact)
    measurements = []
    for name, utterances in test_sets.items():
        heard = [ear.listen(utterance) for utterance in utterances]
        measurement = _measurement(bench, name, artefact, list(zip(utterances, heard, strict=True)))
        logger.info(
            "%s on %s: %d errors in %d words of %d utterances, real-time factor %.3f",
            artefact.name,
            name,
            measurement.score.words.errors,
            measurement.score.words.reference,
            len(utterances),
            measurement.real_time_factor,
        )
        measurements.append(measurement)
    return measurements


class _Ear:
    """One artefact, opened and warmed up when the first utterance is really listened to.

    The warm-up hears the first utterance once more than the watch sees: first calls allocate
    memory and choose kernels, which a service pays once and not for each utterance.
    """

    def __init__(self, bench: Bench, artefact: Artefact) -> None:
        self._bench = bench
        self._artefact = artefact
        self._recogniser: Recogniser | None = None

    def listen(self, utterance: PreparedUtterance) -> Heard:
        known = self._bench.progress.get(self._artefact.name, utterance.id)
        if known is not None:
            return known
        self._leave_if_asked()
        samples = self._bench.samples(utterance)  # (N,)
        recogniser = self._warm(samples)
        started = self._bench.clock()
        hypothesis = recogniser.transcribe(samples)
        heard = Heard(hypothesis=hypothesis, compute_seconds=self._bench.clock() - started)
        self._bench.progress.add(self._artefact.name, utterance.id, heard)
        return heard

    def _warm(self, samples: Samples) -> Recogniser:
        if self._recogniser is None:
            self._recogniser = self._bench.family.recogniser(
                self._artefact, decoder=self._bench.decoder
            )
            self._recogniser.transcribe(samples)
        return self._recogniser

    def _leave_if_asked(self) -> None:
        if self._bench.stop_requested():
            progress = self._bench.progress
            progress.save()
            raise CheckpointedAndLeft(
                f"Evaluate: asked to stop after {len(progress)} transcriptions, which are kept in "
                f"{progress.path}. Start the stage again to go on from there."
            )


def _measurement(
    bench: Bench,
    test_set: str,
    artefact: Artefact,
    heard: Sequence[tuple[PreparedUtterance, Heard]],
) -> Measurement:
    scores = score_utterances([u.text for u, _ in heard], [h.hypothesis.text for _, h in heard])
    transcripts = tuple(
        Transcript(
            utterance=utterance,
            hypothesis=known.hypothesis.text,
            decoder=known.hypothesis.decoder,
            audio_seconds=utterance.samples / bench.sample_rate_hz,
            compute_seconds=known.compute_seconds,
            score=score,
        )
        for (utterance, known), score in zip(heard, scores, strict=True)
    )
    return Measurement(
        test_set=test_set,
        artefact=artefact,
        transcripts=transcripts,
        interval=_interval([score.words for score in scores], bench.bootstrap_samples),
        character_interval=_interval(
            [score.characters for score in scores], bench.bootstrap_samples
        ),
    )


def _interval(counts: Sequence[ErrorCounts], samples: int) -> Interval:
    errors, references = [c.errors for c in counts], [c.reference for c in counts]
    return bootstrap_interval(errors, references, samples=samples)
