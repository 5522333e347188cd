"""The gate: each limit of the recipe is one named check with a remedy."""

from __future__ import annotations

import pytest

from voxmill.recipe.sections import EvaluateGates
from voxmill.stages.evaluation.gates import gate_checks

from .builders import measurement, results, transcript

PERFECT = transcript("a b c d e f g h i j", "a b c d e f g h i j")
ONE_WRONG = transcript("a b c d e f g h i j", "x b c d e f g h i j")
TWO_WRONG = transcript("a b c d e f g h i j", "x y c d e f g h i j")


def checks(gates: EvaluateGates, *measurements) -> dict:
    """Checks by name."""
    return {check.name: check for check in gate_checks(gates, results(*measurements))}


def test_without_limits_there_are_no_checks():
    """None asks for nothing."""
    assert checks(EvaluateGates(), measurement(TWO_WRONG)) == {}


def test_each_test_set_is_checked_by_name():
    """A good mean cannot hide a bad test set; a waiver names the one it means."""
    found = checks(
        EvaluateGates(wer=0.1, cer=0.2),
        measurement(ONE_WRONG),
        measurement(TWO_WRONG, test_set="noisy"),
    )
    assert {name: check.passed for name, check in found.items()} == {
        "evaluate.wer[test]": True,
        "evaluate.cer[test]": True,
        "evaluate.wer[noisy]": False,
        "evaluate.cer[noisy]": True,
    }
    assert found["evaluate.wer[noisy]"].value == 0.2
    assert found["evaluate.wer[noisy]"].limit == "at most 0.1"
    assert "2 of 10 words of noisy" in found["evaluate.wer[noisy]"].help


def test_only_the_main_artefact_must_reach_the_error_rate():
    """int8 has a check of its own."""
    found = checks(
        EvaluateGates(wer=0.05), measurement(PERFECT), measurement(TWO_WRONG, artefact="onnx-int8")
    )
    assert found["evaluate.wer[test]"].passed


@pytest.mark.parametrize(("limit", "passed"), [(0.1, True), (0.099, False)])
def test_speed_is_computing_time_by_speech_over_all_test_sets(limit: float, passed: bool):
    """0.1 s for each of two utterances of one second: a real-time factor of 0.1."""
    found = checks(
        EvaluateGates(real_time_factor=limit), measurement(PERFECT), measurement(PERFECT)
    )
    check = found["evaluate.real_time_factor"]
    assert (check.value, check.passed) == (pytest.approx(0.1), passed)


@pytest.mark.parametrize(("limit", "passed"), [(0.2, True), (0.1, False)])
def test_int8_is_judged_where_it_loses_most(limit: float, passed: bool):
    """On noisy it loses 20 points, on test none."""
    found = checks(
        EvaluateGates(int8_wer_difference=limit),
        measurement(ONE_WRONG),
        measurement(ONE_WRONG, artefact="onnx-int8"),
        measurement(PERFECT, test_set="noisy"),
        measurement(TWO_WRONG, artefact="onnx-int8", test_set="noisy"),
    )
    check = found["evaluate.int8_wer_difference"]
    assert (check.value, check.passed) == (pytest.approx(0.2), passed)
    assert "noisy" in check.help


def test_a_limit_that_is_met_exactly_is_not_failed_by_rounding():
    """A difference of rates may end in 0.10000000000000003 and is still at most 0.1."""
    words = "a b c d e f g h i j"
    found = checks(
        EvaluateGates(int8_wer_difference=0.1),
        measurement(transcript(words, "x y c d e f g h i j")),
        measurement(transcript(words, "x y z d e f g h i j"), artefact="onnx-int8"),
    )
    assert found["evaluate.int8_wer_difference"].passed


def test_a_named_test_set_has_limits_of_its_own_over_those_for_all():
    """What a set does not state, it takes from the general limits; others keep theirs."""
    gates = EvaluateGates.model_validate(
        {"wer": 0.05, "cer": 0.3, "test_sets": {"noisy": {"wer": 0.2}}}
    )
    found = checks(gates, measurement(ONE_WRONG), measurement(TWO_WRONG, test_set="noisy"))
    assert {name: (check.limit, check.passed) for name, check in found.items()} == {
        "evaluate.wer[test]": ("at most 0.05", False),
        "evaluate.cer[test]": ("at most 0.3", True),
        "evaluate.wer[noisy]": ("at most 0.2", True),
        "evaluate.cer[noisy]": ("at most 0.3", True),
    }


def test_one_test_set_may_be_the_only_one_with_a_limit():
    """A domain set is gated while the others are only looked at."""
    gates = EvaluateGates.model_validate({"test_sets": {"noisy": {"cer": 0.01}}})
    found = checks(gates, measurement(TWO_WRONG), measurement(TWO_WRONG, test_set="noisy"))
    assert {name: check.passed for name, check in found.items()} == {"evaluate.cer[noisy]": False}
