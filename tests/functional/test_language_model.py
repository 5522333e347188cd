"""A language model of the training transcripts, from the recipe to what a release writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toys.arrays_way import RECIPE, Way, made_once, order
from unit.cli.test_transcribe_command import transcribe
from voxmill.errors import DataError
from voxmill.recipe.reading import read_recipe
from voxmill.stages.runner import StageOrder, run_stage
from voxmill.text.ngram import FILE, NgramModel
from voxmill.text.tokenizer import TextTokenizer

HEEDED = RECIPE.replace(
    "evaluate: {bootstrap_samples: 100}",
    "package: {language_model: {order: 3, weight: 0.4}}\n"
    "evaluate: {bootstrap_samples: 100, decoder: beam, language_model: true, min_tokens: 1}",
)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    return made_once(tmp_path_factory.mktemp("features"))


def stage(way: Way, folder: Path, name: str, text: str) -> Path:
    """Runs package or evaluate once more, with another recipe, into a folder of its own."""
    (folder / "recipe.yaml").write_text(text)
    recipe = read_recipe(folder / "recipe.yaml")
    asked = order(way.folder, name, recipe, ("ingest", "prepare", "train", "package"))
    inputs = dict(asked.inputs)
    if name == "evaluate" and (folder / "package").is_dir():
        inputs["package"] = folder / "package"
    run_stage(
        StageOrder(
            stage=name, recipe=recipe, inputs=inputs, out=folder / name, work=folder / "work"
        )
    )
    return folder / name


def test_it_is_packaged_heeded_and_named(way: Way, tmp_path: Path) -> None:
    """Beside each artefact, counted on the training split alone; figures carry its name."""
    package = stage(way, tmp_path, "package", HEEDED)
    assert (package / "hf" / FILE).read_bytes() == (package / "onnx" / FILE).read_bytes()
    lines = [json.loads(line) for line in (way.folder / "prepare/utterances.jsonl").open()]
    spoken = [line["labels"] for line in lines if line["split"] == "train"]
    assert len(spoken) < len(lines)
    size = TextTokenizer.from_folder(package / "onnx/tokenizer").size
    counted = NgramModel.counted(spoken, order=3, tokens=size, weight=0.4, token_bonus=1.0)
    packaged = NgramModel.read(package / "onnx" / FILE)
    for written in [(), (2,), (2, 3)]:
        assert (packaged.scores(written) == counted.scores(written)).all()

    evaluated = stage(way, tmp_path, "evaluate", HEEDED)
    rows = [json.loads(line) for line in (evaluated / "hypotheses.jsonl").open()]
    assert {row["decoder"] for row in rows} == {"ctc-beam8-lm:1-"}
    assert {row["artefact"] for row in rows} == {"hf", "onnx-fp32", "onnx-int8"}


def test_a_package_without_one_is_refused_where_it_is_asked_for(
    way: Way,
    tmp_path: Path,
) -> None:
    """By evaluate and by the command line, with the remedy."""
    with pytest.raises(DataError, match=r"Set package\.language_model\.order in the recipe"):
        stage(way, tmp_path, "evaluate", HEEDED)
    array = next((way.folder / "arrays").glob("*_s1_*.npy"))
    refused = transcribe(way.folder / "package", array, "--decoder", "beam-lm")
    assert refused.returncode == 65
    assert "package.language_model.order" in refused.stderr


def test_the_released_folder_writes_with_it(way: Way, tmp_path: Path) -> None:
    """`voxmill transcribe` needs nothing but the package."""
    package = stage(way, tmp_path, "package", HEEDED)
    array = next((way.folder / "arrays").glob("*_s1_*.npy"))
    heard = transcribe(package, array, "--decoder", "beam16-lm:1-")
    assert heard.returncode == 0, heard.stderr
    assert heard.stdout.strip().split("\t")[1]


def test_a_recipe_that_heeds_what_it_does_not_package_is_refused(tmp_path: Path) -> None:
    """Before anything is computed."""
    (tmp_path / "recipe.yaml").write_text(HEEDED.replace("order: 3, ", ""))
    with pytest.raises(Exception, match=r"evaluate\.language_model"):
        read_recipe(tmp_path / "recipe.yaml")
