"""The files for machines: counts that agree with each other, lines that can be joined."""

from __future__ import annotations

import json
from pathlib import Path

from voxmill.stages.evaluation.tables import metrics, release_figures, write_tables

from .builders import measurement, results, transcript

RIGHT = transcript("one two", "one two", id="a")
WRONG = transcript("one two", "one tool <b>", id="b", speaker="bob")


def lines(path: Path) -> list[dict]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_metrics_are_nested_by_test_set_and_artefact():
    """`dvc metrics show` names them test.hf.wer."""
    table = metrics(
        results(measurement(RIGHT, WRONG), measurement(RIGHT, RIGHT, artefact="hf", size=77))
    )
    assert table["test"]["onnx-fp32"]["wer"] == 0.5
    assert table["test"]["hf"]["wer"] == 0
    assert table["test"]["hf"]["real_time_factor"] == 0.1
    assert table["test"]["hf"]["decoder"] == "fake-greedy"
    assert (table["test"]["hf"]["wer_low"], table["test"]["hf"]["wer_high"]) == (0.1, 0.3)
    assert (table["test"]["hf"]["cer_low"], table["test"]["hf"]["cer_high"]) == (0.02, 0.06)
    assert table["sizes"] == {"onnx-fp32": 1000, "hf": 77}


def test_the_release_is_known_by_its_main_artefact_on_the_set_named_test():
    """`test` comes before other test sets, whatever the alphabet says."""
    figures = release_figures(
        results(measurement(RIGHT, test_set="easy"), measurement(WRONG), main="onnx-fp32")
    )
    assert figures["test_set"] == "test"
    assert figures["wer"] == 1.0
    assert figures["bytes"] == 1000
    assert figures["metrics"]["easy"]["onnx-fp32"]["wer"] == 0


def test_only_wrong_utterances_are_errors_and_all_are_hypotheses(tmp_path: Path):
    """errors.jsonl is what a person reads; hypotheses.jsonl is the whole measurement."""
    write_tables(tmp_path, results(measurement(RIGHT, WRONG)))
    assert [row["id"] for row in lines(tmp_path / "hypotheses.jsonl")] == ["a", "b"]
    (error,) = lines(tmp_path / "errors.jsonl")
    assert error == {
        "id": "b",
        "speaker": "bob",
        "test_set": "test",
        "artefact": "onnx-fp32",
        "decoder": "fake-greedy",
        "reference": "one two",
        "hypothesis": "one tool <b>",
        "words": {"substitutions": 1, "deletions": 0, "insertions": 1, "reference": 2},
        "characters": {"substitutions": 1, "deletions": 0, "insertions": 5, "reference": 7},
    }


def test_lines_have_sorted_keys_and_plain_letters(tmp_path: Path):
    """The same measurement makes the same bytes, and č stays readable."""
    write_tables(tmp_path, results(measurement(transcript("čaj", "caj"))))
    text = (tmp_path / "errors.jsonl").read_text(encoding="utf-8")
    assert '"reference": "čaj"' in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert (tmp_path / "metrics.json").read_text().endswith("}\n")
