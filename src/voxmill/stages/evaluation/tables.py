"""The files that machines read: metrics.json, hypotheses.jsonl, errors.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue

from voxmill.corpus.manifest import write_json, write_text
from voxmill.scoring.error_rates import ErrorCounts
from voxmill.stages.evaluation.goals import Goal
from voxmill.stages.evaluation.results import Measurement, Results, Transcript


def metrics(results: Results, goals: Sequence[Goal] = ()) -> dict[str, JsonValue]:
    """Figures by test set and artefact, and the artefacts' sizes in bytes.

    Args:
        results: What was measured.
        goals: Stand beside the main artefact's figures: `wer_goal` and `wer_goal_reached`.
    """
    table: dict[str, JsonValue] = {
        test_set: {
            name: {
                **_figures(results.of(test_set, name)),
                **(_goals(goals, test_set) if name == results.main_artefact else {}),
            }
            for name in results.artefacts
        }
        for test_set in results.test_sets
    }
    table["sizes"] = {name: artefact.bytes for name, artefact in results.artefacts.items()}
    return table


def release_figures(results: Results, goals: Sequence[Goal] = ()) -> dict[str, JsonValue]:
    """The main artefact's figures on the first test set, goals, and the whole table beneath."""
    first = results.main[0]
    return {
        "artefact": results.main_artefact,
        "test_set": first.test_set,
        **_figures(first),
        "bytes": first.artefact.bytes,
        "audio_seconds": round(first.audio_seconds, 3),
        "empty_references": first.score.empty_references,
        "goals": [goal.to_json() for goal in goals],
        "metrics": metrics(results, goals),
    }


def write_tables(out: Path, results: Results, goals: Sequence[Goal] = ()) -> None:
    """Writes the three files; lines are in the order of artefact, test set and utterance id."""
    write_json(out / "metrics.json", metrics(results, goals))
    _write_lines(out / "hypotheses.jsonl", _hypotheses(results))
    _write_lines(out / "errors.jsonl", _errors(results))


def _figures(measurement: Measurement) -> dict[str, JsonValue]:
    score = measurement.score
    return {
        "wer": round(score.wer, 6),
        "wer_low": round(measurement.interval.low, 6),
        "wer_high": round(measurement.interval.high, 6),
        "cer": round(score.cer, 6),
        "cer_low": round(measurement.character_interval.low, 6),
        "cer_high": round(measurement.character_interval.high, 6),
        "real_time_factor": round(measurement.real_time_factor, 6),
        "decoder": measurement.decoder,
        "utterances": score.utterances,
        "words": score.words.reference,
    }


def _goals(goals: Sequence[Goal], test_set: str) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for goal in goals:
        if goal.test_set == test_set:
            found[f"{goal.figure}_goal"] = goal.limit
            found[f"{goal.figure}_goal_reached"] = goal.reached
    return found


def _hypotheses(results: Results) -> Iterator[dict[str, JsonValue]]:
    for measurement, transcript in _transcripts(results):
        yield {
            **_line(measurement, transcript),
            "audio_seconds": round(transcript.audio_seconds, 6),
            "compute_seconds": round(transcript.compute_seconds, 6),
        }


def _errors(results: Results) -> Iterator[dict[str, JsonValue]]:
    for measurement, transcript in _transcripts(results):
        if transcript.score.characters.errors:
            yield {
                **_line(measurement, transcript),
                "words": _counts(transcript.score.words),
                "characters": _counts(transcript.score.characters),
            }


def _transcripts(results: Results) -> Iterator[tuple[Measurement, Transcript]]:
    for measurement in results.measurements:
        for transcript in measurement.transcripts:
            yield measurement, transcript


def _line(measurement: Measurement, transcript: Transcript) -> dict[str, JsonValue]:
    return {
        "id": transcript.utterance.id,
        "speaker": transcript.utterance.speaker,
        "test_set": measurement.test_set,
        "artefact": measurement.artefact.name,
        "decoder": transcript.decoder,
        "reference": transcript.utterance.text,
        "hypothesis": transcript.hypothesis,
    }


def _counts(counts: ErrorCounts) -> dict[str, JsonValue]:
    return {
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "reference": counts.reference,
    }


def _write_lines(path: Path, rows: Iterator[dict[str, JsonValue]]) -> None:
    lines = (json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    write_text(path, "".join(lines))
