"""Goals: shown as reached or not, and nothing waits for them."""

from __future__ import annotations

from voxmill.recipe.sections import EvaluateGoals
from voxmill.stages.evaluation.goals import goals_of
from voxmill.stages.evaluation.tables import metrics, release_figures

from .builders import measurement, results, transcript

PERFECT = transcript("a b c d e f g h i j", "a b c d e f g h i j")
ONE_WRONG = transcript("a b c d e f g h i j", "x b c d e f g h i j")
GOALS = EvaluateGoals.model_validate(
    {"wer": 0.05, "test_sets": {"noisy": {"wer": 0.1, "cer": 0.0}}}
)


def test_each_goal_is_named_and_judged_by_test_set():
    """A set's own goal stands in the place of the one for all."""
    found = goals_of(GOALS, results(measurement(ONE_WRONG), measurement(PERFECT, test_set="noisy")))
    assert [(goal.name, goal.limit, goal.reached) for goal in found] == [
        ("evaluate.goal.wer[test]", 0.05, False),
        ("evaluate.goal.wer[noisy]", 0.1, True),
        ("evaluate.goal.cer[noisy]", 0.0, True),
    ]


def test_figures_say_what_was_hoped_for_beside_what_was_measured():
    """Only of the main artefact: the others are not what is released."""
    measured = results(measurement(ONE_WRONG), measurement(ONE_WRONG, artefact="hf"))
    goals = goals_of(EvaluateGoals(wer=0.05), measured)
    table = metrics(measured, goals)["test"]
    assert (table["onnx-fp32"]["wer_goal"], table["onnx-fp32"]["wer_goal_reached"]) == (0.05, False)
    assert not any("goal" in name for name in table["hf"])
    assert release_figures(measured, goals)["goals"] == [
        {"name": "evaluate.goal.wer[test]", "value": 0.1, "limit": 0.05, "reached": False}
    ]
