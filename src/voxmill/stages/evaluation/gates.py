"""The gate of evaluate: what a release must reach, and what to do where it does not."""

from __future__ import annotations

from voxmill.recipe.sections import EvaluateGates
from voxmill.stages.evaluation.limits import error_limits
from voxmill.stages.evaluation.results import Measurement, Results
from voxmill.stages.stage import Check

_FP32, _INT8 = "onnx-fp32", "onnx-int8"


def gate_checks(gates: EvaluateGates, results: Results) -> tuple[Check, ...]:
    """One check for each limit that the recipe sets, of the main artefact on each test set."""
    return (
        *(check for measurement in results.main for check in _error_checks(gates, measurement)),
        *_speed_checks(gates, results),
        *_int8_checks(gates, results),
    )


def _error_checks(gates: EvaluateGates, measurement: Measurement) -> list[Check]:
    name, score = measurement.test_set, measurement.score
    limits = error_limits(gates, name)
    checks = []
    if limits.wer is not None:
        checks.append(
            _at_most(
                f"evaluate.wer[{name}]",
                score.wer,
                limits.wer,
                f"{score.words.errors} of {score.words.reference} words of {name} are wrong. "
                "Listen to the worst utterances in index.html: wrong transcripts call for audit, "
                "one bad speaker or length for more such data, many of each for longer training.",
            )
        )
    if limits.cer is not None:
        checks.append(
            _at_most(
                f"evaluate.cer[{name}]",
                score.cer,
                limits.cer,
                f"{score.characters.errors} of {score.characters.reference} characters of {name} "
                "are wrong. A high rate beside a fair word error rate means long garbled words: "
                "see the confusions in index.html.",
            )
        )
    return checks


def _speed_checks(gates: EvaluateGates, results: Results) -> list[Check]:
    if gates.real_time_factor is None:
        return []
    compute = sum(measurement.compute_seconds for measurement in results.main)
    audio = sum(measurement.audio_seconds for measurement in results.main)
    return [
        _at_most(
            "evaluate.real_time_factor",
            compute / audio,
            gates.real_time_factor,
            f"{results.main_artefact} took {compute:.1f} s for {audio:.1f} s of speech. Measure "
            "again on a quiet machine; if it stays, choose a smaller model, more subsampling, "
            "onnx-int8 or a narrower beam.",
        )
    ]


def _int8_checks(gates: EvaluateGates, results: Results) -> list[Check]:
    if gates.int8_wer_difference is None:
        return []
    differences = {
        name: results.of(name, _INT8).score.wer - results.of(name, _FP32).score.wer
        for name in results.test_sets
    }
    worst = max(differences, key=lambda name: differences[name])
    return [
        _at_most(
            "evaluate.int8_wer_difference",
            differences[worst],
            gates.int8_wer_difference,
            f"Largest on {worst}: quantised weights lose too much. Release {_FP32} instead, or "
            "keep the first and last layers in fp32.",
        )
    ]


def _at_most(name: str, value: float, limit: float, help_text: str) -> Check:
    rounded = round(value, 6)  # a difference of rates carries noise of the last binary digit
    return Check(
        name=name,
        value=rounded,
        limit=f"at most {limit:g}",
        passed=rounded <= limit,
        help=help_text,
    )
