"""What was measured: one transcript, and all transcripts of one artefact on one test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.family import Artefact
from voxmill.scoring.confidence import Interval
from voxmill.scoring.error_rates import Score, total


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What an artefact heard in one utterance, and what that cost."""

    utterance: PreparedUtterance
    hypothesis: str
    decoder: str
    audio_seconds: float
    compute_seconds: float
    score: Score


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One artefact on one test set; counts are kept, rates derived."""

    test_set: str
    artefact: Artefact
    transcripts: tuple[Transcript, ...]
    interval: Interval
    """Of the word error rate, at 95 %."""
    character_interval: Interval
    """Of the character error rate, at 95 %."""

    @cached_property
    def score(self) -> Score:
        """All errors together."""
        return total(transcript.score for transcript in self.transcripts)

    @property
    def decoder(self) -> str:
        """Name of the decoder that wrote the hypotheses."""
        return self.transcripts[0].decoder

    @property
    def audio_seconds(self) -> float:
        """Speech in the test set."""
        return sum(transcript.audio_seconds for transcript in self.transcripts)

    @property
    def compute_seconds(self) -> float:
        """Time that recognition took, one utterance after the other."""
        return sum(transcript.compute_seconds for transcript in self.transcripts)

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for one second of speech; below 1 is faster than speech."""
        return self.compute_seconds / self.audio_seconds


@dataclass(frozen=True, kw_only=True)
class Results:
    """Every artefact on every test set."""

    measurements: tuple[Measurement, ...]
    main_artefact: str

    @property
    def test_sets(self) -> tuple[str, ...]:
        """Names of the test sets, `test` first, the others in alphabetical order."""
        names = {measurement.test_set for measurement in self.measurements}
        return tuple(sorted(names, key=lambda name: (name != "test", name)))

    @property
    def artefacts(self) -> Mapping[str, Artefact]:
        """The measured artefacts by name, in the recipe's order."""
        return {m.artefact.name: m.artefact for m in self.measurements}

    @property
    def main(self) -> tuple[Measurement, ...]:
        """The main artefact on each test set, in the order of `test_sets`."""
        return tuple(self.of(test_set, self.main_artefact) for test_set in self.test_sets)

    def of(self, test_set: str, artefact: str) -> Measurement:
        """The measurement of that artefact on that test set.

        Raises:
            KeyError: It was not measured.
        """
        return self._by_name[test_set, artefact]

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Measurement]:
        return {(m.test_set, m.artefact.name): m for m in self.measurements}
