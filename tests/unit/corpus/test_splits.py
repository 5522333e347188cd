"""Splits never move anybody, and no speaker stands on both sides."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toys.recordings import utterance
from voxmill.corpus.config import SplitConfig
from voxmill.corpus.splits import SplitLine, Splits, place_of, split
from voxmill.corpus.utterance import SourceUtterance
from voxmill.errors import DataError

UTTERANCES = st.lists(
    st.builds(
        lambda number, speaker, part: utterance(f"u{number}", speaker=f"s{speaker}", part=part),
        number=st.integers(0, 500),
        speaker=st.integers(0, 12),
        part=st.sampled_from(["real", "real", "made"]),
    ),
    unique_by=lambda one: one.id,
    max_size=40,
)
CONFIGS = st.builds(
    SplitConfig,
    by=st.sampled_from(["hash", "speaker"]),
    validation_share=st.sampled_from([0.0, 0.1, 0.3]),
    test_share=st.sampled_from([0.0, 0.1, 0.4]),
    train_only_parts=st.sampled_from([[], ["made"]]),
    salt=st.sampled_from(["a", "b"]),
)


def speakers_by_split(utterances: list[SourceUtterance], splits: Splits) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in utterances:
        found[splits.by_utterance[one.id]].add(one.speaker)
    return found


@given(first=UTTERANCES, more=UTTERANCES, config=CONFIGS, later=CONFIGS)
def test_new_data_and_new_shares_move_nobody(
    first: list[SourceUtterance],
    more: list[SourceUtterance],
    config: SplitConfig,
    later: SplitConfig,
) -> None:
    """With memory, an earlier utterance keeps its split whatever comes later."""
    later = later.model_copy(update={"by": config.by, "train_only_parts": config.train_only_parts})
    before = split(first, config)
    old = {one.id for one in first}
    grown = [*first, *(one for one in more if one.id not in old)]
    after = split(grown, later, before.new_lines)
    assert {i: after.by_utterance[i] for i in old} == dict(before.by_utterance)
    assert not {line.id for line in after.new_lines} & {line.id for line in before.new_lines}


@given(utterances=UTTERANCES, config=CONFIGS, seed=st.randoms(use_true_random=False))
def test_order_does_not_matter(
    utterances: list[SourceUtterance], config: SplitConfig, seed: object
) -> None:
    """The split is a function of ids, and a second pass with memory learns nothing new."""
    shuffled = list(utterances)
    seed.shuffle(shuffled)
    once = split(utterances, config)
    assert split(shuffled, config) == once
    again = split(utterances, config, once.new_lines)
    assert again.by_utterance == once.by_utterance
    assert again.new_lines == ()


@given(utterances=UTTERANCES, config=CONFIGS)
def test_speakers_stand_on_one_side(utterances: list[SourceUtterance], config: SplitConfig) -> None:
    """Split by speaker: nobody is heard in two splits, even across parts."""
    config = config.model_copy(update={"by": "speaker"})
    found = speakers_by_split(utterances, split(utterances, config))
    assert sum(len(speakers) for speakers in found.values()) == len(
        {one.speaker for one in utterances}
    )


@given(utterances=UTTERANCES, config=CONFIGS)
def test_train_only_parts_are_trained_on(
    utterances: list[SourceUtterance], config: SplitConfig
) -> None:
    """Synthetic speech never counts as a test."""
    config = config.model_copy(update={"train_only_parts": ["made"]})
    splits = split(utterances, config)
    assert {splits.by_utterance[one.id] for one in utterances if one.part == "made"} <= {"train"}


@pytest.mark.parametrize("salt", [f"salt{i}" for i in range(20)])
@pytest.mark.parametrize("count", [3, 4, 6])
def test_few_speakers_still_give_every_split_one(salt: str, count: int) -> None:
    """From three speakers on there is one to train, one to validate and one to test on."""
    utterances = [utterance(f"u{i}", speaker=f"s{i % count}") for i in range(24)]
    found = speakers_by_split(utterances, split(utterances, SplitConfig(by="speaker", salt=salt)))
    assert set(found) == {"train", "validation", "test"}
    assert len(found["train"]) >= 1


def test_one_speaker_is_trained_on() -> None:
    """A test without training would be worth nothing; the gate of prepare speaks up instead."""
    splits = split([utterance("a"), utterance("b")], SplitConfig(by="speaker"))
    assert set(splits.by_utterance.values()) == {"train"}


def test_training_never_stays_empty() -> None:
    """Two speakers whom the hash sends to test and validation: one of them is trained on."""
    config = SplitConfig(by="speaker", validation_share=0.49, test_share=0.5)
    for salt in range(20):
        splits = split(
            [utterance("a"), utterance("b", speaker="bob")],
            config.model_copy(update={"salt": str(salt)}),
        )
        assert "train" in splits.by_utterance.values()


def test_of_two_runs_at_once_the_first_line_counts() -> None:
    """Memory is merged line by line; a later line for the same id changes nothing."""
    memory = [SplitLine(id="a", split="test"), SplitLine(id="a", split="train")]
    assert split([utterance("a")], SplitConfig(), memory).by_utterance == {"a": "test"}


def test_a_newcomer_fills_an_empty_split_and_stays_there() -> None:
    """Memory keeps what was chosen for want of speakers."""
    config = SplitConfig(by="speaker", validation_share=0.0, test_share=0.01)
    ann, bob = utterance("a", speaker="ann"), utterance("b", speaker="bob")
    first = split([ann], config)
    second = split([ann, bob], config, first.new_lines)
    assert second.by_utterance == {"a": "train", "b": "test"}
    crowd = [utterance(f"c{i}", speaker=f"c{i}") for i in range(50)]
    third = split([ann, bob, *crowd], config, [*first.new_lines, *second.new_lines])
    assert third.by_utterance["b"] == "test"


def test_shares_are_met_on_many_utterances() -> None:
    """The hash spreads evenly: shares come out within two points of what was asked."""
    many = [utterance(f"u{i}") for i in range(5000)]
    values = list(split(many, SplitConfig(test_share=0.2)).by_utterance.values())
    assert values.count("test") / 5000 == pytest.approx(0.2, abs=0.02)
    assert values.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)


def test_places_are_fixed_for_ever() -> None:
    """A golden value: another hash would move everybody in every recipe."""
    assert place_of("speaker:george", "voxmill") == pytest.approx(0.897403582468695, abs=1e-12)


def test_a_speaker_can_be_left_out_by_name() -> None:
    """`explicit` tests on the named speaker and shares the others out without a test set."""
    utterances = [utterance(f"{s}{i}", speaker=s) for s in ("ann", "bob") for i in range(100)]
    config = SplitConfig(by="explicit", assign={"ann": "test"}, validation_share=0.2)
    splits = split(utterances, config)
    assert speakers_by_split(utterances, splits)["test"] == {"ann"}
    rest = [splits.by_utterance[f"bob{i}"] for i in range(100)]
    assert set(rest) == {"train", "validation"}
    assert {line.id for line in splits.new_lines} == {f"bob{i}" for i in range(100)}


def test_the_recipe_may_leave_out_another_speaker_next_time() -> None:
    """What the recipe states is not memorised: each speaker can be the test in turn."""
    utterances = [utterance(f"{s}{i}", speaker=s) for s in ("ann", "bob") for i in range(30)]
    memory: list[SplitLine] = []
    for name in ("ann", "bob", "ann"):
        splits = split(utterances, SplitConfig(by="explicit", assign={name: "test"}), memory)
        memory += splits.new_lines
        assert speakers_by_split(utterances, splits)["test"] == {name}


def test_subsets_go_where_the_recipe_says() -> None:
    """The source's own division is kept, with test sets of any name."""
    utterances = [
        utterance("a", subset="train-clean-100"),
        utterance("b", subset="dev-clean"),
        utterance("c", subset="test-other"),
    ]
    assign = {"train-clean-100": "train", "dev-clean": "validation", "test-other": "test-other"}
    splits = split(utterances, SplitConfig(by="subset", assign=assign))
    assert splits.by_utterance == {"a": "train", "b": "validation", "c": "test-other"}
    assert splits.new_lines == ()


def test_a_part_of_a_mixture_can_be_a_test_set_of_its_own() -> None:
    """Field recordings beside a corpus: by part, by subset, or by the subset of a part."""
    utterances = [
        utterance("a", subset="train-clean-100", part="libri"),
        utterance("b", subset="test-clean", part="libri"),
        utterance("c", subset="all", part="field"),
        utterance("d", subset="test-clean", part="calls"),
    ]
    assign = {
        "train-clean-100": "train",
        "test-clean": "test-clean",
        "calls/test-clean": "calls",
        "field": "domain",
    }
    splits = split(utterances, SplitConfig(by="subset", assign=assign))
    found = {"a": "train", "b": "test-clean", "c": "domain", "d": "calls"}
    assert splits.by_utterance == found


@pytest.mark.parametrize(("by", "kind"), [("subset", "subsets"), ("explicit", "speakers")])
def test_a_misspelt_name_is_refused(by: str, kind: str) -> None:
    """A test set that catches nobody would pass for an untested model."""
    config = SplitConfig.model_validate({"by": by, "assign": {"gorge": "test"}})
    with pytest.raises(DataError, match=f"names the {kind} gorge.*found: (all|ann)"):
        split([utterance("a")], config)


def test_speakers_once_divided_cannot_become_whole() -> None:
    """From hash to speaker would move utterances across; it is refused with a way out."""
    memory = [SplitLine(id="a", split="train"), SplitLine(id="b", split="test")]
    with pytest.raises(DataError, match=r"utterances of ann in (train|test) and in (train|test)"):
        split([utterance("a"), utterance("b")], SplitConfig(by="speaker"), memory)
