"""Several named test sets, from the source's layout to the shards that evaluate measures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toys.data_stages import DataStages, check, recipe
from toys.recordings import write_wav
from voxmill.corpus.config import SplitConfig
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.sources.config import FolderSource, LibriSpeechSource, MixtureSource
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import UsageError
from voxmill.recipe.sections import EvaluateConfig, EvaluateGates, PrepareConfig
from voxmill.stages.evaluation.limits import refuse_unknown_sets
from voxmill.stages.evaluation.selection import read_test_sets

ASSIGN = {
    "train-clean-100": "train",
    "dev-clean": "validation",
    "test-clean": "test-clean",
    "domain": "domain",
}
SPLIT = SplitConfig(by="subset", assign=ASSIGN)
SPEAKERS = {"train-clean-100": "19", "dev-clean": "84", "test-clean": "61", "domain": "7"}


def librispeech(folder: Path, *subsets: str, each: int = 3) -> Path:
    """Tones in LibriSpeech's layout, a speaker for each subset."""
    for subset in subsets:
        speaker = SPEAKERS[subset]
        chapter = folder / "LibriSpeech" / subset / speaker / "1"
        chapter.mkdir(parents=True)
        lines = []
        for number in range(each):
            name = f"{speaker}-1-{number:04d}"
            times = np.arange(6400) / 16000
            tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * int(speaker) + number) * times)
            soundfile.write(chapter / f"{name}.flac", tone, 16000)
            lines.append(f"{name} ONE")
        (chapter / f"{speaker}-1.trans.txt").write_text("\n".join(lines) + "\n")
    return folder


def field_recordings(folder: Path) -> Path:
    """A folder without any subsets."""
    for number in range(2):
        write_wav(folder / f"two_eve_{number}.wav", seconds=0.4)
    return folder


def prepared(run: DataStages) -> DataStages:
    """The run with its data stages done."""
    run.ingest()
    run.audit()
    outcome = run.prepare()
    for name in ("train", "validation", "test-clean", "domain"):
        assert check(outcome, f"prepare.utterances[{name}]")[1]
    return run


def members(run: DataStages) -> Counter[tuple[str, str]]:
    """How many utterances of which subset stand in which split."""
    lines = read_lines(run.root / "prepare/utterances.jsonl", PreparedUtterance)
    return Counter((one.split, one.subset) for one in lines)


def test_librispeech_subsets_become_the_named_splits(tmp_path: Path) -> None:
    """train-clean-100 to learn from, dev-clean to pick by, two sets to measure on."""
    librispeech(tmp_path / "in", *ASSIGN)
    source = LibriSpeechSource(kind="librispeech", path="in")
    run = DataStages(
        tmp_path / "run",
        recipe=recipe(source=source, prepare=PrepareConfig(split=SPLIT)),
        inputs={"source": tmp_path / "in"},
    )
    assert members(prepared(run)) == {
        ("train", "train-clean-100"): 3,
        ("validation", "dev-clean"): 3,
        ("test-clean", "test-clean"): 3,
        ("domain", "domain"): 3,
    }


def test_a_part_of_a_mixture_is_the_domain_set(tmp_path: Path) -> None:
    """Recordings from the field, without subsets, beside the corpus."""
    librispeech(tmp_path / "libri", "train-clean-100", "dev-clean", "test-clean")
    field_recordings(tmp_path / "field")
    parts = {
        "libri": LibriSpeechSource(kind="librispeech", path="libri"),
        "domain": FolderSource(kind="folder", path="field"),
    }
    source = MixtureSource(kind="mixture", parts=parts)
    run = DataStages(
        tmp_path / "run",
        recipe=recipe(source=source, prepare=PrepareConfig(split=SPLIT)),
        inputs={"source.libri": tmp_path / "libri", "source.domain": tmp_path / "field"},
    )
    found = members(prepared(run))
    assert found["domain", "all"] == 2
    assert found["test-clean", "test-clean"] == 3
    sets = read_test_sets(run.root / "prepare", max_utterances=None)
    assert list(sets) == ["domain", "test-clean"]
    gates = EvaluateGates.model_validate({"wer": 0.1, "test_sets": {"domain": {"wer": 0.2}}})
    refuse_unknown_sets(EvaluateConfig(gates=gates), sets)


@pytest.mark.parametrize("field", ["gates", "goals"])
def test_a_limit_for_a_set_that_is_not_there_is_refused_with_those_that_are(field: str) -> None:
    """It would hold for nothing, and a release would pass unmeasured."""
    limits = {"test_sets": {"domian": {"wer": 0.1}}}
    config = EvaluateConfig.model_validate({field: limits})
    with pytest.raises(UsageError, match=rf"evaluate.{field}.test_sets names domian.*domain, test"):
        refuse_unknown_sets(config, ["test", "domain"])
