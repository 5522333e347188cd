"""The stage package: contract files, checks with verdicts, and a card with its lineage."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from toys.packaged_tones import made_once
from toys.tone_speech import MODEL
from voxmill.corpus.sources.config import SyntheticSource
from voxmill.errors import DataError
from voxmill.recipe.recipe import Recipe
from voxmill.recipe.sections import PackageConfig
from voxmill.stages.package import PackageStage
from voxmill.stages.stage import StageContext


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """Outputs of prepare and train, with reports and learning curves."""
    folder = tmp_path_factory.mktemp("inputs")
    places = {"prepare": folder / "prepare", "train": folder / "train"}
    tones = made_once(folder / "toy")
    shutil.copytree(tones.prepared, places["prepare"])
    shutil.copytree(tones.checkpoint, places["train"] / "best")
    for stage, place in places.items():
        report = {"stage": stage, "verdict": "passed", "versions": {"git_commit": "c0ffee"}}
        (place / "report.json").write_text(json.dumps(report))
    lines = [
        {"step": step, "values": {"voxmill_wer_ratio": wer, "voxmill_cer_ratio": wer / 2},
         "labels": {"split": "validation"}}
        for step, wer in ((1, 0.9), (2, 0.25), (3, 0.4))
    ]  # fmt: skip
    (places["train"] / "curves.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return places


class Recorded:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.lines: list[tuple[dict, dict]] = []

    def record(self, values, *, step, labels=None) -> None:
        self.lines.append((dict(values), dict(labels or {})))

    def flush(self) -> None:
        pass


def run(inputs, out: Path, recorder=None, **package):
    recipe = Recipe(
        name="tones", title="Letters as tones", family="ctc", model=MODEL,
        source=SyntheticSource(kind="synthetic"),
        package=PackageConfig(parity_seconds=[0.3, 0.9], licence="mit", **package),
    )  # fmt: skip
    out.mkdir()
    context = StageContext(
        recipe=recipe, inputs=inputs, out=out, work=out.parent, recorder=recorder or Recorded()
    )
    return PackageStage().run(context)


@pytest.fixture(scope="module")
def passed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "package"
    recorder = Recorded()
    return run(inputs, out, recorder), out, recorder


def test_a_good_model_passes_every_check(passed) -> None:
    """Sizes of all artefacts, parity, int8 agreement and one-call loading, each by its name."""
    outcome, _, _ = passed
    assert [check.name for check in outcome.checks] == [
        "package.max_bytes[hf]",
        "package.max_bytes[onnx-fp32]",
        "package.max_bytes[onnx-int8]",
        "package.parity",
        "package.int8_agreement",
        "package.loads",
    ]
    assert outcome.verdict == "passed", outcome.checks


def test_the_output_is_what_evaluate_reads(passed) -> None:
    """The contract's files, with artefacts that exist."""
    _, out, _ = passed
    for entry in json.loads((out / "artefacts.json").read_text()):
        assert (out / entry["path"]).exists()
    parity = json.loads((out / "parity.json").read_text())
    assert [batch["seconds"] for batch in parity["batches"]] == [[0.3], [0.9], [0.3, 0.9]]


def test_the_card_holds_data_figures_and_lineage(passed, inputs) -> None:
    """Splits as prepared, the best validation figures, hashes of the reports, the licence."""
    _, out, _ = passed
    card = (out / "hf/README.md").read_text()
    digest = hashlib.sha256((inputs["train"] / "report.json").read_bytes()).hexdigest()
    for fact in (
        "license: mit", "Letters as tones", "| train | 40 |", "| word error rate | 0.25 |",
        "| character error rate | 0.125 |", "commit: `c0ffee`", digest, "espeak-ng",
        "8000 Hz audio", "40 ms a frame",
    ):  # fmt: skip
        assert fact in card, fact


def test_sizes_are_recorded_by_artefact(passed) -> None:
    """Dashboards show how large each artefact is."""
    _, _, recorder = passed
    sizes = {labels["artefact"]: values for values, labels in recorder.lines}
    assert set(sizes) == {"hf", "onnx-fp32", "onnx-int8"}
    assert all(values["voxmill_packaged_bytes"] > 10_000 for values in sizes.values())


def test_each_limit_that_is_broken_fails_its_own_check(inputs, tmp_path) -> None:
    """A failed check is told with value, limit and help; the files are still there to look at."""
    outcome = run(
        inputs, tmp_path / "out", max_bytes=100, max_parity_difference=1e-12, min_int8_agreement=1.0
    )
    failed = {check.name for check in outcome.checks if not check.passed}
    assert {
        "package.max_bytes[hf]", "package.max_bytes[onnx-fp32]", "package.max_bytes[onnx-int8]",
        "package.parity",
    } <= failed  # fmt: skip
    assert "package.loads" not in failed
    assert all(check.limit and check.help for check in outcome.checks)
    assert outcome.verdict == "failed"
    assert (tmp_path / "out/artefacts.json").is_file()


def test_a_damaged_checkpoint_is_a_data_error(inputs, tmp_path) -> None:
    """One flipped byte in the weights stops the stage with the file's name."""
    copy = tmp_path / "train"
    shutil.copytree(inputs["train"], copy)
    state = copy / "best/state.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"state.pt is damaged"):
        run({**inputs, "train": copy}, tmp_path / "out")


def test_a_checkpoint_of_another_model_is_a_data_error(inputs, tmp_path) -> None:
    """Recipe and checkpoint that do not fit are told apart before anything is written."""
    recipe_model = MODEL.model_copy(
        update={"encoder": MODEL.encoder.model_copy(update={"d_ff": 32})}
    )
    recipe = Recipe(
        name="tones", title="t", family="ctc", source=SyntheticSource(kind="synthetic"),
        model=recipe_model,
    )  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    context = StageContext(recipe=recipe, inputs=inputs, out=out, work=tmp_path)
    with pytest.raises(DataError, match="does not fit the model"):
        PackageStage().run(context)
    assert list(out.iterdir()) == []
