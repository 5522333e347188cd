"""Proof of the main job: a fresh clone, the demo, a release, and all of it back elsewhere.

Takes several minutes. `make proof AREA=digits`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from toys.real_project import fresh_clone, run
from toys.toy_project import STAGES, hashes

DEMO_SECONDS = 1800


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of what is committed, where the demo has run once."""
    folder = fresh_clone(tmp_path_factory.mktemp("proof") / "voxmill")
    sys.stdout.write(run("voxmill", "demo", "digits", cwd=folder, timeout_seconds=DEMO_SECONDS))
    return folder


def only_run(project: Path) -> Path:
    """The folder of the run whose train stage was executed: the first one."""
    folders = (project / ".voxmill/runs/digits").glob("[!.]*")
    return min(folders, key=lambda folder: folder.name)


def test_the_demo_releases_a_model_that_hears_unseen_voices(project: Path) -> None:
    """A clone ends as tag digits@v0.1.0, below 5 % word errors on voices it never heard."""
    assert "digits@v0.1.0" in run("git", "tag", cwd=project).split()
    evaluated = only_run(project) / "artifacts/digits/evaluate"
    test = json.loads((evaluated / "metrics.json").read_text())["test"]
    for artefact, figures in test.items():
        assert figures["wer"] < 0.05, (artefact, figures)
    assert (evaluated / "index.html").stat().st_size > 50_000
    prepared = only_run(project) / "artifacts/digits/prepare/utterances.jsonl"
    lines = [json.loads(line) for line in prepared.read_text().splitlines()]
    voices = {
        split: {line["speaker"] for line in lines if line["split"] == split}
        for split in ("train", "validation", "test")
    }
    assert not voices["train"] & voices["test"]
    assert not voices["train"] & voices["validation"]


def test_a_release_comes_back_byte_for_byte_in_another_folder(
    project: Path, tmp_path: Path
) -> None:
    """`git checkout <tag> && dvc pull` exits 0 and brings every file of every stage."""
    elsewhere = tmp_path / "elsewhere"
    run("git", "clone", "--quiet", str(project), str(elsewhere), cwd=tmp_path)
    run("git", "checkout", "--quiet", "digits@v0.1.0", cwd=elsewhere)
    run("dvc", "pull", cwd=elsewhere)
    expected = hashes(only_run(project) / "artifacts/digits")
    assert hashes(elsewhere / "artifacts/digits") == expected
    assert {path.split("/")[0] for path in expected} == set(STAGES)
    assert run("dvc", "status", cwd=elsewhere).strip() == "Data and pipelines are up to date."


def test_the_released_folder_loads_with_one_call(project: Path, tmp_path: Path) -> None:
    """Transformers alone, without voxmill, hears something in a test recording."""
    artifacts = only_run(project) / "artifacts/digits"
    program = tmp_path / "load.py"
    program.write_text(
        "import json, sys, numpy\n"
        "from transformers import pipeline\n"
        "folder, prepared = sys.argv[1:]\n"
        "lines = [json.loads(l) for l in open(prepared + '/utterances.jsonl')]\n"
        "one = next(l for l in lines if l['split'] == 'test')\n"
        "pcm = numpy.fromfile(prepared + '/shards/' + one['shard'], '<i2',\n"
        "                     count=one['samples'], offset=2 * one['offset_samples'])\n"
        "asr = pipeline('automatic-speech-recognition', model=folder)\n"
        "text = asr(pcm.astype('float32') / 32768)['text']\n"
        "assert 'voxmill' not in sys.modules\n"
        "print(json.dumps([one['text'], text]))\n"
    )
    said = run(
        sys.executable, str(program), f"{artifacts}/package/hf", f"{artifacts}/prepare",
        cwd=tmp_path,
    )  # fmt: skip
    expected, heard = json.loads(said.splitlines()[-1])
    assert heard.split()
    assert set(heard.split()) & set(expected.split())


def test_show_names_checks_as_waive_takes_them(project: Path) -> None:
    """Brackets survive: `voxmill waive RUN evaluate.wer[test]` can be copied from the table."""
    said = run("voxmill", "show", only_run(project).name, cwd=project)
    assert "evaluate.wer[test]" in said
    assert "prepare.utterances[validation]" in said


def test_an_unchanged_second_run_executes_no_stage(project: Path) -> None:
    """The second pass restores all eight stages and tags nothing new."""
    tags = run("git", "tag", cwd=project)
    began = time.monotonic()
    said = run("voxmill", "demo", "digits", cwd=project)
    sys.stdout.write(f"no-op second run: {time.monotonic() - began:.1f} s\n")
    assert said.count("was there already") == len(STAGES), said[-4000:]
    assert run("git", "tag", cwd=project) == tags


def test_dvc_repro_by_hand_has_nothing_to_do_in_a_checkout_of_the_release(
    project: Path, tmp_path: Path
) -> None:
    """In a checkout of the tag `dvc repro` finds every stage up to date."""
    elsewhere = tmp_path / "by-hand"
    run("git", "clone", "--quiet", str(project), str(elsewhere), cwd=tmp_path)
    run("git", "checkout", "--quiet", "digits@v0.1.0", cwd=elsewhere)
    run("dvc", "pull", cwd=elsewhere)
    said = run("dvc", "repro", cwd=elsewhere)
    assert "Running stage" not in said
