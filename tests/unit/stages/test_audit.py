"""Audit accepts what is sound, rejects the rest with reasons, and counts both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from toys.corpora import digits, part_of_librispeech
from toys.data_stages import DataStages, check, recipe, tree
from toys.recordings import write_wav
from voxmill.corpus.config import AuditConfig
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.sources.config import LibriSpeechSource
from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance
from voxmill.errors import CheckpointedAndLeft, DataError


def audited(tmp_path: Path, name: str = "run", **options: object) -> DataStages:
    run = DataStages(tmp_path / name, inputs={"source": tmp_path / "in"}, **options)
    run.ingest()
    return run


def reasons(run: DataStages) -> dict[str, str]:
    lines = read_lines(run.root / "audit/rejected.jsonl", RejectedUtterance)
    return {one.id: one.reason for one in lines}


def test_every_fault_is_found_and_the_rest_goes_on(tmp_path: Path) -> None:
    """One file of each kind of fault among sound ones; ingest's problems are counted too."""
    folder = digits(tmp_path / "in", speakers=2, takes=2, words="01") / "recordings"
    (folder / "2_bad_0.wav").write_bytes(b"RIFF but no more")
    (folder / "2_bad_1.wav").write_bytes(b"")
    shutil.copyfile(folder / "0_s0_0.wav", folder / "2_bad_2.wav")
    write_wav(folder / "2_bad_3.wav", seconds=0.05)
    write_wav(folder / "3_bad_4.wav", seconds=0.1)
    write_wav(folder / "hum.wav")
    run = audited(tmp_path)
    outcome = run.audit()
    assert reasons(run) == {
        "recordings/2_bad_0": "unreadable_audio",
        "recordings/2_bad_1": "unreadable_audio",
        "recordings/2_bad_2": "duplicate_audio",
        "recordings/2_bad_3": "too_short",
        "recordings/3_bad_4": "too_few_frames",
        "recordings/hum": "name_not_understood",
    }
    accepted = read_lines(run.root / "audit/accepted.jsonl", AuditedUtterance)
    assert len(accepted) == 8
    assert check(outcome, "audit.rejected_share") == (round(6 / 14, 6), False)
    assert outcome.verdict == "failed"


def test_the_gate_follows_the_recipe(tmp_path: Path) -> None:
    """The same faults pass where the recipe allows them, and too little data fails."""
    digits(tmp_path / "in", speakers=1, takes=1, words="01")
    write_wav(tmp_path / "in/hum.wav")
    limits = {"frame_seconds": 0.02, "max_rejected_share": 0.5}
    lenient = recipe(audit=AuditConfig(**limits, min_accepted=2))
    assert audited(tmp_path, "a", recipe=lenient).audit().verdict == "passed"
    greedy = recipe(audit=AuditConfig(**limits, min_accepted=3))
    outcome = audited(tmp_path, "b", recipe=greedy).audit()
    assert check(outcome, "audit.accepted") == (2, False)


def test_statistics_tell_what_the_corpus_is(shared: Path, tmp_path: Path) -> None:
    """Hours, quantiles, rates and speakers of real recordings, against the manifest itself."""
    part_of_librispeech(shared, tmp_path / "in")
    source = LibriSpeechSource(kind="librispeech", path="in")
    run = audited(tmp_path, recipe=recipe(source=source))
    outcome = run.audit()
    assert outcome.verdict == "passed"
    accepted = read_lines(run.root / "audit/accepted.jsonl", AuditedUtterance)
    told = json.loads((run.root / "audit/statistics.json").read_text())
    seconds = sorted(one.seconds for one in accepted)
    assert told["accepted"]["utterances"] == len(accepted) == 12
    assert told["accepted"]["hours"] == pytest.approx(sum(seconds) / 3600, abs=1e-4)
    assert (told["seconds"]["min"], told["seconds"]["max"]) == pytest.approx(
        (seconds[0], seconds[-1]), abs=1e-3
    )
    assert told["sample_rates_hz"] == {"16000": 12}
    assert told["channels"] == {"1": 12}
    assert set(told["by_subset"]) == {"train-clean-100", "test-other"}
    assert sum(one["utterances"] for one in told["by_speaker"].values()) == 12
    assert told["reasons"] == {}


def test_the_whole_digit_dataset_is_sound(shared: Path, tmp_path: Path) -> None:
    """Of the real 2000 recordings none is broken, too short for its word or there twice."""
    run = DataStages(tmp_path / "run", inputs={"source": shared / "data/fsdd"})
    run.ingest()
    outcome = run.audit()
    assert outcome.figures["utterances"] == 2000
    assert outcome.figures["speakers"] == 4
    assert reasons(run) == {}


def test_two_audits_write_the_same_bytes(tmp_path: Path) -> None:
    """Which thread was faster is not in the output."""
    digits(tmp_path / "in")
    one, other = audited(tmp_path, "one"), audited(tmp_path, "other")
    one.audit()
    other.audit()
    assert tree(one.root / "audit") == tree(other.root / "audit")


def test_a_damaged_archive_is_no_bad_recording(tmp_path: Path) -> None:
    """A flipped bit in our own mirror is an error of ours; it must not shrink the data."""
    digits(tmp_path / "in")
    run = audited(tmp_path)
    archive = run.root / "ingest/archives/00000.tar"
    content = bytearray(archive.read_bytes())
    content[2000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="expected sha256"):
        run.audit()


def test_audit_leaves_soon_when_asked(tmp_path: Path) -> None:
    """SIGTERM between two recordings ends the reading."""
    digits(tmp_path / "in")
    run = audited(tmp_path)
    with pytest.raises(CheckpointedAndLeft, match="Stage audit of toy was asked to stop"):
        run.audit(stop_requested=lambda: True)
