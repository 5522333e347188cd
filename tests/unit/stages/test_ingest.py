"""Ingest mirrors exactly what was listed, and nothing that was removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toys.corpora import digits
from toys.data_stages import DataStages, check, recipe, tree
from toys.recordings import write_wav
from voxmill.corpus.inventory import Inventory
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.sources.catalogue import open_source
from voxmill.corpus.sources.config import FolderSource, MixtureSource, SyntheticSource
from voxmill.corpus.utterance import RejectedUtterance, SourceUtterance
from voxmill.errors import CheckpointedAndLeft, DataError, UsageError
from voxmill.recipe.recipe import Recipe


def stages(tmp_path: Path, name: str = "run", **options: object) -> DataStages:
    return DataStages(tmp_path / name, inputs={"source": tmp_path / "in"}, **options)


def sync(run: DataStages) -> None:
    source = open_source(run.recipe.source, run.inputs, work=run.root)
    (run.memory / "source.json").write_text(source.listing().to_json(), encoding="utf-8")


def ids(run: DataStages) -> list[str]:
    return [one.id for one in read_lines(run.root / "ingest/utterances.jsonl", SourceUtterance)]


def test_a_folder_becomes_archives_and_manifests(tmp_path: Path) -> None:
    """Every recording lies in an archive, every utterance and every problem in a manifest."""
    digits(tmp_path / "in", speakers=2, takes=1, words="01")
    write_wav(tmp_path / "in/hum.wav")
    run = stages(tmp_path)
    outcome = run.ingest()
    assert outcome.verdict == "passed"
    assert outcome.figures["utterances"] == 4
    assert outcome.figures["problems"] == 1
    assert outcome.figures["files"] == 5
    [problem] = read_lines(run.root / "ingest/problems.jsonl", RejectedUtterance)
    assert (problem.id, problem.reason) == ("hum", "name_not_understood")
    inventory = Inventory(run.root / "ingest")
    for path in (tmp_path / "in").rglob("*.wav"):
        assert inventory.read(path.relative_to(tmp_path / "in").as_posix()) == path.read_bytes()


def test_a_second_mirror_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    """Touched files, another folder, another day: nothing of that is in the output."""
    digits(tmp_path / "in")
    one, other = stages(tmp_path, "one"), stages(tmp_path, "other")
    one.ingest()
    for path in (tmp_path / "in").rglob("*.wav"):
        path.touch()
    other.ingest()
    assert tree(one.root / "ingest") == tree(other.root / "ingest")


def test_what_was_listed_is_mirrored(tmp_path: Path) -> None:
    """After sync and without a change ingest goes through."""
    digits(tmp_path / "in")
    run = stages(tmp_path)
    sync(run)
    assert run.ingest().verdict == "passed"


def test_a_source_that_changed_since_sync_is_refused(tmp_path: Path) -> None:
    """The run was made for other data; the message counts and names the difference."""
    digits(tmp_path / "in", speakers=1, takes=1, words="012")
    run = stages(tmp_path)
    sync(run)
    write_wav(tmp_path / "in/recordings/3_s0_0.wav")
    write_wav(tmp_path / "in/recordings/1_s0_0.wav", hz=999)
    (tmp_path / "in/recordings/0_s0_0.wav").unlink()
    words = (
        r"source changed since sync: 1 added, 1 removed, 1 changed, e\.g\. recordings/3_s0_0\.wav"
    )
    with pytest.raises(DataError, match=words) as caught:
        run.ingest()
    assert "voxmill sync memory" in str(caught.value)
    assert caught.value.exit_code == 65


def test_removed_utterances_stay_removed(tmp_path: Path) -> None:
    """A tombstone keeps an id out though the source still has the recording and sync lists it."""
    digits(tmp_path / "in", speakers=1, takes=1, words="01")
    run = stages(tmp_path)
    sync(run)
    tombstone = {"id": "recordings/1_s0_0", "why": "asked to", "when": "2026-01-01", "who": "ann"}
    (run.memory / "tombstones.jsonl").write_text(json.dumps(tombstone) + "\n")
    outcome = run.ingest()
    assert ids(run) == ["recordings/0_s0_0"]
    assert outcome.figures["left_out_files"] == 1
    assert "recordings/1_s0_0.wav" not in Inventory(run.root / "ingest")


def test_a_broken_tombstone_stops_ingest(tmp_path: Path) -> None:
    """Removed data must not come back because a line was not understood."""
    digits(tmp_path / "in")
    run = stages(tmp_path)
    (run.memory / "tombstones.jsonl").write_text('{"utterance": "a"}\n')
    with pytest.raises(DataError, match=r"tombstones\.jsonl, line 1"):
        run.ingest()


def mixture() -> Recipe:
    return recipe(
        source=MixtureSource(
            kind="mixture",
            parts={
                "real": FolderSource(kind="folder", path="in"),
                "made": SyntheticSource(kind="synthetic", utterances=2, voices=1),
            },
        )
    )


def test_a_mixture_reads_each_part_from_its_own_input(tmp_path: Path) -> None:
    """Made utterances are no difference to the listing, which cannot list them."""
    digits(tmp_path / "in", speakers=1, takes=1, words="0")
    run = DataStages(tmp_path / "run", recipe=mixture(), inputs={"source.real": tmp_path / "in"})
    sync(run)
    run.ingest()
    assert ids(run) == [
        "made/voice000-000000",
        "made/voice000-000001",
        "real/recordings/0_s0_0",
    ]


def test_a_part_without_folder_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the missing input."""
    with pytest.raises(UsageError, match=r"--in source\.real=DIR"):
        DataStages(tmp_path / "run", recipe=mixture()).ingest()


@pytest.mark.parametrize("made", [False, True])
def test_a_missing_or_empty_source_is_a_data_error(tmp_path: Path, made: bool) -> None:
    """Exit code 65 and what to correct."""
    if made:
        (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"Correct `source\.path`"):
        stages(tmp_path).ingest()


def test_a_pattern_that_matches_nothing_fails_the_gate(tmp_path: Path) -> None:
    """Recordings are there, but none is understood: the next stage is not to start."""
    write_wav(tmp_path / "in/hum.wav")
    outcome = stages(tmp_path).ingest()
    assert check(outcome, "ingest.utterances") == (0, False)
    assert outcome.verdict == "failed"


def test_ingest_leaves_soon_when_asked(tmp_path: Path) -> None:
    """SIGTERM between two files ends the copying."""
    digits(tmp_path / "in")
    asked = iter([False, False, True])
    with pytest.raises(CheckpointedAndLeft, match="asked to stop"):
        stages(tmp_path).ingest(stop_requested=lambda: next(asked))
