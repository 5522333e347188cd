"""The stage evaluate as its caller sees it: folders in; figures, files and a gate out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fakes.recogniser import FakeFamily
from toys.evaluation_inputs import RATE_HZ, ToyUtterance, tone, toy_recipe, write_inputs
from voxmill.errors import CheckpointedAndLeft, DataError, UsageError
from voxmill.observability.catalogue import check_labels, check_names
from voxmill.recipe.sections import EvaluateConfig, EvaluateGates
from voxmill.stages.evaluate import EvaluateStage
from voxmill.stages.stage import StageContext

TOYS = [
    ToyUtterance(id="a", text="one two three four", samples=4000),
    ToyUtterance(id="b", text="five six", samples=4100, speaker="bob"),
    ToyUtterance(id="c", text="seven", samples=4200, split="noisy"),
    ToyUtterance(id="d", text="learned by heart", samples=4300, split="train"),
    ToyUtterance(id="e", text="chosen by", samples=4400, split="validation"),
]
SAID = {toy.samples: toy.text for toy in TOYS}


def mishear(artefact: str, samples: np.ndarray) -> str:
    """What was said, but int8 takes six for sex."""
    text = SAID[len(samples)]
    return text.replace("six", "sex") if artefact == "onnx-int8" else text


class Memory:
    """A recorder that refuses what the catalogue does not know."""

    def __init__(self) -> None:
        self.values: dict[tuple, float] = {}

    def record(self, values, *, step, labels=None):
        check_names(values)
        for name, value in values.items():
            check_labels(name, labels or {})
            self.values[name, *sorted((labels or {}).values())] = value


def context(folder: Path, config: EvaluateConfig | None = None, **changes: object) -> StageContext:
    """A context over the toys, with an empty output folder."""
    inputs = folder / "inputs"
    if not inputs.exists():
        write_inputs(inputs, TOYS)
    (folder / "out").mkdir(exist_ok=True)
    settings = {
        "recipe": toy_recipe(config),
        "inputs": {name: inputs / name for name in ("prepare", "package", "train")},
        "out": folder / "out",
        "work": folder / "work",
    }
    return StageContext(**(settings | changes))


def run(folder: Path, family: FakeFamily, config: EvaluateConfig | None = None, **changes: object):
    """The stage with that family."""
    stage = EvaluateStage(lambda name: family)
    return stage.run(context(folder, config, clock=family.clock, **changes))


def test_the_packaged_artefacts_are_measured_on_all_test_sets(tmp_path: Path):
    """Three artefacts, two test sets, and nothing that the model was trained or chosen on."""
    family = FakeFamily(mishear, seconds=0.05, first_seconds=5.0)
    outcome = run(tmp_path, family)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert sorted(metrics) == ["noisy", "sizes", "test"]
    assert metrics["test"]["onnx-fp32"]["wer"] == 0
    assert metrics["test"]["onnx-int8"]["wer"] == pytest.approx(1 / 6, abs=1e-6)
    assert metrics["test"]["hf"]["real_time_factor"] == pytest.approx(
        0.1 / (8100 / RATE_HZ), abs=1e-6
    )
    assert metrics["sizes"] == {"hf": 3_000_000, "onnx-fp32": 2_500_000, "onnx-int8": 800_000}
    assert {len(samples) for _, samples in family.calls} == {4000, 4100, 4200}
    assert outcome.verdict == "passed"


def test_recordings_reach_the_recogniser_as_they_were_prepared(tmp_path: Path):
    """Mono samples in [-1, 1], to the precision of 16 bits."""
    family = FakeFamily(mishear)
    run(tmp_path, family)
    for _, samples in family.calls:
        assert samples.dtype == np.float32
        np.testing.assert_allclose(samples, tone(len(samples)), atol=1e-4)


def test_figures_for_a_release_come_from_the_main_artefact(tmp_path: Path):
    """Airflow and `voxmill show` need no other file."""
    config = EvaluateConfig(main_artefact="onnx-int8", decoder="beam", beam_width=4)
    figures = run(tmp_path, FakeFamily(mishear), config).figures
    assert figures["artefact"] == "onnx-int8"
    assert figures["decoder"] == "fake-beam4"
    assert figures["wer"] == pytest.approx(1 / 6, abs=1e-6)
    assert figures["bytes"] == 800_000
    assert figures["utterances"] == 2


def test_errors_and_hypotheses_are_written_line_by_line(tmp_path: Path):
    """One wrong utterance of one artefact; three utterances of each of three artefacts."""
    run(tmp_path, FakeFamily(mishear))
    errors = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    hypotheses = (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()
    assert [(json.loads(e)["id"], json.loads(e)["artefact"]) for e in errors] == [
        ("b", "onnx-int8")
    ]
    assert len(hypotheses) == 9


def test_failed_gates_fail_the_stage_without_an_exception(tmp_path: Path):
    """The report is written all the same; the next stage is what is refused."""
    gates = EvaluateGates(wer=0.0, real_time_factor=0.001, int8_wer_difference=0.5)
    outcome = run(tmp_path, FakeFamily(mishear), EvaluateConfig(gates=gates))
    assert outcome.verdict == "failed"
    assert {check.name: check.passed for check in outcome.checks} == {
        "evaluate.wer[test]": True,
        "evaluate.wer[noisy]": True,
        "evaluate.real_time_factor": False,
        "evaluate.int8_wer_difference": True,
    }
    assert "✗ failed" in (tmp_path / "out" / "index.html").read_text()


def test_the_released_figures_are_recorded_under_catalogued_names(tmp_path: Path):
    """Dashboards know them by test set and artefact."""
    memory = Memory()
    run(tmp_path, FakeFamily(mishear), recorder=memory)
    values = memory.values
    assert values["voxmill_packaged_wer_ratio", "onnx-int8", "test"] == pytest.approx(1 / 6)
    assert values["voxmill_packaged_bytes", "hf"] == 3_000_000
    assert len(values) == 3 * 2 * 3 + 3


def test_a_limit_on_utterances_holds_for_each_test_set(tmp_path: Path):
    """One of each set is enough for a quick look."""
    run(tmp_path, FakeFamily(mishear), EvaluateConfig(max_utterances=1, artefacts=["onnx-fp32"]))
    lines = (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["test_set"] for line in lines) == ["noisy", "test"]


def test_a_stop_request_keeps_what_was_heard_for_the_next_try(tmp_path: Path):
    """The second try hears only what the first did not, and leaves no trace of the stop."""
    family = FakeFamily(mishear)
    with pytest.raises(CheckpointedAndLeft):
        run(tmp_path, family, stop_requested=lambda: len(family.calls) >= 4)
    assert not (tmp_path / "out" / "metrics.json").exists()
    before = len(family.calls)
    run(tmp_path, family)
    assert len(family.calls) - before == 2 * (1 + 3)
    assert not (tmp_path / "work" / "evaluate" / "progress.jsonl").exists()


def test_progress_of_another_package_is_not_taken(tmp_path: Path):
    """A model packaged anew is listened to anew."""
    family = FakeFamily(mishear)
    with pytest.raises(CheckpointedAndLeft):
        run(tmp_path, family, stop_requested=lambda: len(family.calls) >= 4)
    (tmp_path / "inputs" / "package" / "report.json").write_text('{"stage": "package"}')
    before = len(family.calls)
    run(tmp_path, family)
    assert len(family.calls) - before == 3 * (1 + 3)


def test_without_test_utterances_nothing_is_called_perfect(tmp_path: Path):
    """An empty test set is a data error."""
    write_inputs(tmp_path / "inputs", [toy for toy in TOYS if toy.split == "train"])
    with pytest.raises(DataError, match="nothing to measure"):
        run(tmp_path, FakeFamily(mishear))


def test_a_missing_input_is_named(tmp_path: Path):
    """The stage command was started without one of its folders."""
    with pytest.raises(UsageError, match="--in prepare=DIR"):
        run(tmp_path, FakeFamily(mishear), inputs={})


def test_goals_are_told_everywhere_and_stop_nothing(tmp_path: Path):
    """In report, metrics.json, the page and the journal; the verdict is the gates' alone."""
    recorder = Memory()
    config = EvaluateConfig.model_validate(
        {"goals": {"wer": 0.05}, "gates": {"wer": 0.5, "test_sets": {"noisy": {"wer": 0.0}}}}
    )
    family = FakeFamily(lambda _, samples: SAID[len(samples)].replace("six", "sex"))
    outcome = run(tmp_path, family, config, recorder=recorder)
    assert outcome.verdict == "passed"
    reached = {goal["name"]: goal["reached"] for goal in outcome.figures["goals"]}
    assert reached == {"evaluate.goal.wer[test]": False, "evaluate.goal.wer[noisy]": True}
    assert recorder.values["voxmill_goal_reached", "test", "wer"] == 0
    assert recorder.values["voxmill_goal_reached", "noisy", "wer"] == 1
    page = (tmp_path / "out" / "index.html").read_text()
    assert "evaluate.goal.wer[test]" in page
    assert "not yet" in page
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["noisy"]["onnx-fp32"]["wer_goal_reached"] is True


def test_a_gate_for_a_test_set_that_is_not_there_is_found_before_listening(tmp_path: Path):
    """Hours of measuring would come first otherwise; the sets there are named."""
    family = FakeFamily(mishear)
    config = EvaluateConfig.model_validate({"gates": {"test_sets": {"nosiy": {"wer": 0.1}}}})
    with pytest.raises(UsageError, match="names nosiy, but the test sets are: noisy, test"):
        run(tmp_path, family, config)
    assert not (tmp_path / "out" / "metrics.json").exists()
