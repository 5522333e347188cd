"""Prepare splits, tokenises and stores what audit accepted, and keeps the sides apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from fakes.family import FakeFamily, FakeModel
from toys.corpora import digits
from toys.data_stages import DataStages, check, recipe, tree
from toys.recordings import write_wav
from voxmill.corpus.config import SplitConfig
from voxmill.corpus.manifest import read_lines
from voxmill.corpus.shards import ShardReader
from voxmill.corpus.utterance import PreparedUtterance, RejectedUtterance
from voxmill.errors import CheckpointedAndLeft, DataError, UsageError
from voxmill.recipe.recipe import Recipe
from voxmill.recipe.sections import PrepareConfig
from voxmill.signal.audio_file import read_audio
from voxmill.stages.sample_rate import sample_rate_of
from voxmill.text.config import TextConfig

EXPLICIT = SplitConfig(by="explicit", assign={"s0": "test"}, validation_share=0.3)


def prepared(run: DataStages) -> list[PreparedUtterance]:
    return read_lines(run.root / "prepare/utterances.jsonl", PreparedUtterance)


def skipped(run: DataStages) -> dict[str, str]:
    lines = read_lines(run.root / "prepare/skipped.jsonl", RejectedUtterance)
    return {one.id: one.reason for one in lines}


def toy(split: SplitConfig = EXPLICIT, **options: object) -> Recipe:
    model = options.pop("model", FakeModel())
    return recipe(prepare=PrepareConfig(split=split, **options), model=model)


def audited(tmp_path: Path, name: str = "run", **options: object) -> DataStages:
    values = {"recipe": toy(), **options}
    run = DataStages(tmp_path / name, inputs={"source": tmp_path / "in"}, **values)
    run.ingest()
    run.audit()
    return run


def splits_by_id(run: DataStages) -> Mapping[str, str]:
    return {one.id: one.split for one in prepared(run)}


def test_everything_that_training_needs_is_written(tmp_path: Path) -> None:
    """Manifest, shards, tokenizer, split figures and the lines for memory."""
    digits(tmp_path / "in")
    run = audited(tmp_path)
    outcome = run.prepare()
    assert outcome.verdict == "passed"
    found = prepared(run)
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert len(found) == 40
    assert {one.split for one in found if one.speaker == "s0"} == {"test"}
    assert {one.split for one in found if one.speaker != "s0"} == {"train", "validation"}
    assert {"shards/00000.pcm", "tokenizer/characters.json", "skipped.jsonl"} <= set(
        tree(run.root / "prepare")
    )
    told = json.loads((run.root / "prepare/splits.json").read_text())
    assert told["test"] == {"utterances": 10, "hours": round(4 / 3600, 4), "speakers": ["s0"]}
    assert outcome.figures["test"]["speakers"] == 1
    lines = (run.root / "prepare/memory/splits.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {
        one.id for one in found if one.speaker != "s0"
    }


def test_shards_hold_the_very_samples_of_the_recordings(tmp_path: Path) -> None:
    """At the file's own rate the way through prepare changes no bit."""
    digits(tmp_path / "in", speakers=2, takes=1)
    run = audited(tmp_path)
    run.prepare()
    reader = ShardReader(run.root / "prepare/shards")
    for one in prepared(run):
        audio = read_audio(tmp_path / f"in/{one.id}.wav")
        np.testing.assert_array_equal(reader.samples(one), audio.samples)


def test_recordings_come_at_the_model_s_sample_rate(tmp_path: Path) -> None:
    """Twice the rate is twice the samples, and the same tone."""
    digits(tmp_path / "in", speakers=2, takes=1, words="0")
    run = audited(tmp_path, recipe=toy(model=FakeModel(sample_rate_hz=16000)))
    run.prepare()
    one = prepared(run)[0]
    assert one.samples == 6400
    samples = ShardReader(run.root / "prepare/shards").samples(one)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * 16000 / len(samples) == pytest.approx(200, abs=2)


def test_shards_are_cut_at_their_size(tmp_path: Path) -> None:
    """No shard exceeds what the recipe allows, and none of the samples is lost."""
    for take in range(12):
        write_wav(tmp_path / f"in/0_s{take % 3}_{take}.wav", seconds=12.0, hz=200 + take)
    run = audited(tmp_path, recipe=toy(shard_megabytes=1))
    run.prepare()
    sizes = [path.stat().st_size for path in (run.root / "prepare/shards").iterdir()]
    assert len(sizes) == 3
    assert max(sizes) <= 10**6
    assert sum(sizes) == 12 * 12 * 8000 * 2


def test_texts_are_normalised_and_the_original_is_kept(tmp_path: Path) -> None:
    """What is learned and what the source said stand side by side."""
    digits(tmp_path / "in", speakers=2, takes=1, words="0")
    text = TextConfig(case="upper")
    run = audited(tmp_path, recipe=toy(text=text))
    run.prepare()
    assert {(one.text, one.text_original) for one in prepared(run)} == {("ZERO", "zero")}


def test_the_tokenizer_sees_training_texts_only(tmp_path: Path) -> None:
    """A word of the test alone is unknown, and the gate says how much of it there is."""
    digits(tmp_path / "in", speakers=3, takes=2, words="01")
    write_wav(tmp_path / "in/xq_s0_9.wav")
    family = FakeFamily()
    run = audited(tmp_path, family=family)
    outcome = run.prepare()
    assert set(family.trained_on) == {"zero", "one"}
    train = [one for one in prepared(run) if one.split == "train"]
    assert len(family.trained_on) == len(train)
    other = sum(len(one.text) for one in prepared(run) if one.split != "train")
    assert check(outcome, "prepare.unknown_share") == (round(2 / other, 6), False)
    assert [one.labels for one in prepared(run) if one.text == "xq"] == [(1, 1)]


def test_labels_without_enough_frames_are_skipped_and_counted(tmp_path: Path) -> None:
    """`three` needs six frames: with five it would make the loss infinite."""
    digits(tmp_path / "in", speakers=3, takes=2, words="03")
    run = audited(tmp_path, family=FakeFamily(frames=lambda _: 5))
    outcome = run.prepare()
    assert set(skipped(run).values()) == {"too_few_frames"}
    assert {one.text for one in prepared(run)} == {"zero"}
    assert check(outcome, "prepare.skipped_share") == (0.5, False)
    enough = audited(tmp_path, "enough", family=FakeFamily(frames=lambda _: 6))
    assert check(enough.prepare(), "prepare.skipped_share") == (0.0, True)


def test_a_text_that_the_recipe_normalises_away_is_skipped(tmp_path: Path) -> None:
    """Audit keeps a lone sign where punctuation stays; prepare says what it did with it."""
    digits(tmp_path / "in", speakers=3, takes=2, words="01")
    run = audited(tmp_path)
    accepted = run.root / "audit/accepted.jsonl"
    lines = accepted.read_text().splitlines()
    lines[0] = lines[0].replace('"text": "zero"', '"text": "?!"')
    accepted.write_text("\n".join(lines) + "\n")
    run.prepare()
    assert list(skipped(run).values()) == ["empty_transcript"]


def test_new_data_leaves_everybody_where_they_were(tmp_path: Path) -> None:
    """Across runs memory holds the split, whatever the shares say later."""
    digits(tmp_path / "in", speakers=8, takes=1, words="01")
    by = SplitConfig(by="speaker", validation_share=0.2, test_share=0.2)
    first = audited(tmp_path, "first", recipe=toy(by))
    first.prepare()
    first.remember()
    digits(tmp_path / "in", speakers=14, takes=2, words="012")
    other = SplitConfig(by="speaker", validation_share=0.1, test_share=0.5)
    second = DataStages(tmp_path / "second", recipe=toy(other), inputs=first.inputs)
    (second.memory / "splits.jsonl").write_bytes((first.memory / "splits.jsonl").read_bytes())
    second.ingest()
    second.audit()
    assert second.prepare().verdict == "passed"
    before, after = splits_by_id(first), splits_by_id(second)
    assert len(after) > len(before)
    assert {i: after[i] for i in before} == before
    old_lines = set((first.memory / "splits.jsonl").read_text().splitlines())
    new_lines = (second.root / "prepare/memory/splits.jsonl").read_text().splitlines()
    assert len(new_lines) == 6
    assert old_lines.isdisjoint(new_lines)


def test_by_speaker_no_voice_is_on_two_sides(tmp_path: Path) -> None:
    """Split by speaker, each voice is in one split only, and the gate has counted."""
    digits(tmp_path / "in", speakers=6, takes=2, words="01")
    run = audited(tmp_path, recipe=toy(SplitConfig(by="speaker")))
    outcome = run.prepare()
    sides: dict[str, set[str]] = {}
    for one in prepared(run):
        sides.setdefault(one.speaker, set()).add(one.split)
    assert all(len(found) == 1 for found in sides.values())
    assert check(outcome, "prepare.speaker_overlap") == (0, True)


def test_a_voice_that_memory_has_on_two_sides_fails_the_gate(tmp_path: Path) -> None:
    """Lines from a run by utterance meet a test by speaker name: the figure would be worthless."""
    digits(tmp_path / "in", speakers=3, takes=2, words="01")
    run = audited(tmp_path)
    line = {"id": "recordings/0_s1_0", "split": "test"}
    (run.memory / "splits.jsonl").write_text(json.dumps(line) + "\n")
    outcome = run.prepare()
    assert check(outcome, "prepare.speaker_overlap") == (1, False)
    assert outcome.verdict == "failed"


def test_unknown_speakers_count_as_nobody(tmp_path: Path) -> None:
    """Where the source names no speakers, there is no voice to find on two sides."""
    for number in range(8):
        write_wav(tmp_path / f"in/0_unknown_{number}.wav", hz=200 + number)
    write_wav(tmp_path / "in/0_ann_0.wav")
    split = SplitConfig(by="explicit", assign={"ann": "test"}, validation_share=0.5)
    run = audited(tmp_path, recipe=toy(split))
    line = {"id": "0_unknown_0", "split": "test"}
    (run.memory / "splits.jsonl").write_text(json.dumps(line) + "\n")
    outcome = run.prepare()
    assert check(outcome, "prepare.speaker_overlap") == (0, True)


def test_removed_utterances_are_left_out_even_of_an_older_audit(tmp_path: Path) -> None:
    """A tombstone that came after audit counts here."""
    digits(tmp_path / "in", speakers=3, takes=2, words="01")
    run = audited(tmp_path)
    stone = {"id": "recordings/0_s0_0", "why": "x", "when": "2026-01-01", "who": "ann"}
    (run.memory / "tombstones.jsonl").write_text(json.dumps(stone) + "\n")
    run.prepare()
    assert "recordings/0_s0_0" not in splits_by_id(run)
    assert len(prepared(run)) == 11


@pytest.mark.parametrize(
    ("split", "empty"),
    [
        (SplitConfig(by="explicit", assign={"s0": "test"}, validation_share=0.0), "validation"),
        (SplitConfig(by="hash", test_share=0.0), "test"),
    ],
)
def test_an_empty_split_fails_the_gate(tmp_path: Path, split: SplitConfig, empty: str) -> None:
    """Without validation nothing can be picked, without a test nothing can be said."""
    digits(tmp_path / "in", speakers=2, takes=2, words="01")
    outcome = audited(tmp_path, recipe=toy(split)).prepare()
    assert check(outcome, f"prepare.utterances[{empty}]") == (0, False)


def test_named_test_sets_are_each_asked_for(tmp_path: Path) -> None:
    """A test set that lost all its utterances must not vanish from the report in silence."""
    digits(tmp_path / "in", speakers=3, takes=2, words="03")
    write_wav(tmp_path / "in/3_s9_0.wav")
    assign = {"s0": "test", "s9": "test-hard"}
    split = SplitConfig(by="explicit", assign=assign, validation_share=0.4)
    run = audited(tmp_path, recipe=toy(split), family=FakeFamily(frames=lambda _: 5))
    outcome = run.prepare()
    assert check(outcome, "prepare.utterances[test]") == (4 // 2, True)
    assert check(outcome, "prepare.utterances[test-hard]") == (0, False)


def test_nothing_to_train_on_is_a_data_error(tmp_path: Path) -> None:
    """Everybody assigned to the test: there is no tokenizer to make."""
    digits(tmp_path / "in", speakers=2, takes=1, words="01")
    split = SplitConfig(by="explicit", assign={"s0": "test", "s1": "test"})
    run = audited(tmp_path, recipe=toy(split))
    with pytest.raises(DataError, match="of 4 accepted utterances none is left to train on"):
        run.prepare()


def test_two_passes_write_the_same_bytes(tmp_path: Path) -> None:
    """Threads, folders and time leave no trace."""
    digits(tmp_path / "in")
    one, other = audited(tmp_path, "one"), audited(tmp_path, "other")
    one.prepare()
    other.prepare()
    assert tree(one.root / "prepare") == tree(other.root / "prepare")


def test_prepare_leaves_soon_when_asked(tmp_path: Path) -> None:
    """SIGTERM between two recordings ends the writing."""
    digits(tmp_path / "in")
    asked = iter([False, True])
    with pytest.raises(CheckpointedAndLeft, match="Stage prepare"):
        audited(tmp_path).prepare(stop_requested=lambda: next(asked))


def test_a_model_states_its_rate_as_a_setting_or_a_property() -> None:
    """A family whose model hears one rate only has no setting for it."""

    class Fixed(BaseModel):
        @property
        def sample_rate_hz(self) -> int:
            return 16000

    class Silent(BaseModel):
        pass

    assert sample_rate_of(FakeModel(sample_rate_hz=8000)) == 8000
    assert sample_rate_of(Fixed()) == 16000
    with pytest.raises(UsageError, match="Silent has no sample_rate_hz"):
        sample_rate_of(Silent())
