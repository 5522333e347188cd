"""The worst utterances of the main artefact, aligned word by word and with their recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.family import Samples
from voxmill.scoring.alignment import WordPair, align_words
from voxmill.stages.evaluation.listening import embed
from voxmill.stages.evaluation.results import Measurement, Transcript


@dataclass(frozen=True, kw_only=True)
class Example:
    """One utterance on the page."""

    test_set: str
    transcript: Transcript
    pairs: tuple[WordPair, ...]
    audio: str | None
    """Data URI; None where the recording did not fit the page, or is no sound."""
    audible: bool = True
    """Whether there is something to hear."""

    @property
    def kinds(self) -> str:
        """The kinds of its errors, for the page's filter: `delete substitute`."""
        return " ".join(sorted({pair.kind for pair in self.pairs} - {"equal"}))


def worst_examples(
    measurements: Sequence[Measurement],
    *,
    count: int,
    samples: Callable[[PreparedUtterance], Samples] | None,
    sample_rate_hz: float,
    budget_bytes: int,
) -> tuple[Example, ...]:
    """The utterances with the most word errors, over all test sets; none without an error.

    Utterances with equally many errors come in the order of their rate: three errors in four
    words are worse than three in thirty.

    Args:
        measurements: One artefact on each test set.
        count: At most so many.
        samples: Reads the recording of an utterance: (N,) in [-1, 1]; None: there is nothing to
            listen to.
        sample_rate_hz: Of the recordings.
        budget_bytes: Largest sum of all embedded recordings.
    """
    wrong = [
        (measurement.test_set, transcript)
        for measurement in measurements
        for transcript in measurement.transcripts
        if transcript.score.words.errors
    ]
    worst = sorted(wrong, key=_badness)[:count]
    audio: tuple[str | None, ...] = (None,) * len(worst)
    if samples is not None:
        audio = embed(
            [transcript.utterance for _, transcript in worst],
            samples=samples,
            sample_rate_hz=int(sample_rate_hz),
            budget_bytes=budget_bytes,
        )
    return tuple(
        Example(
            test_set=test_set,
            transcript=transcript,
            pairs=_pairs(transcript),
            audio=uri,
            audible=samples is not None,
        )
        for (test_set, transcript), uri in zip(worst, audio, strict=True)
    )


def _badness(entry: tuple[str, Transcript]) -> tuple[int, float, str, str]:
    test_set, transcript = entry
    words = transcript.score.words
    return -words.errors, -words.rate, test_set, transcript.utterance.id


def _pairs(transcript: Transcript) -> tuple[WordPair, ...]:
    return align_words(transcript.utterance.text, transcript.hypothesis)
