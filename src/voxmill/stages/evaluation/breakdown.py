"""Where the errors lie on one test set: by speaker, by length, by origin, and word by word."""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.scoring.alignment import Confusion, align_words, most_frequent_confusions
from voxmill.scoring.groups import Group, by_duration, by_name, quantile_edges
from voxmill.stages.evaluation.results import Measurement

_MOST_ROWS = 30
_MOST_CONFUSIONS = 15


@dataclass(frozen=True, kw_only=True)
class GroupTable:
    """The groups of one kind."""

    title: str
    groups: tuple[Group, ...]
    left_out: int
    """Groups beyond the worst ones that the table shows."""

    @property
    def worst_rate(self) -> float:
        """Highest word error rate, the full length of a bar."""
        return max(group.score.wer for group in self.groups)


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """One test set, taken apart."""

    test_set: str
    tables: tuple[GroupTable, ...]
    confusions: tuple[Confusion, ...]


def break_down(measurement: Measurement) -> Breakdown:
    """Takes the errors of one artefact on one test set apart."""
    transcripts = measurement.transcripts
    scores = [transcript.score for transcript in transcripts]
    utterances = [transcript.utterance for transcript in transcripts]
    seconds = [transcript.audio_seconds for transcript in transcripts]
    speakers = by_name([utterance.speaker for utterance in utterances], scores)
    lengths = by_duration(seconds, scores, edges=quantile_edges(seconds))
    origins = by_name([f"{u.part} / {u.subset}" for u in utterances], scores)
    lengths_table = GroupTable(title="Length", groups=lengths, left_out=0)
    pairs = [
        pair
        for transcript in transcripts
        for pair in align_words(transcript.utterance.text, transcript.hypothesis)
    ]
    tables = [_worst_first("Speaker", speakers), lengths_table]
    if len(origins) > 1:
        tables.append(_worst_first("Part / subset", origins))
    return Breakdown(
        test_set=measurement.test_set,
        tables=tuple(tables),
        confusions=most_frequent_confusions(pairs, limit=_MOST_CONFUSIONS),
    )


def _worst_first(title: str, groups: tuple[Group, ...]) -> GroupTable:
    ordered = sorted(groups, key=lambda group: (-group.score.wer, group.name))
    return GroupTable(
        title=title,
        groups=tuple(ordered[:_MOST_ROWS]),
        left_out=max(0, len(ordered) - _MOST_ROWS),
    )
