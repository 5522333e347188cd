"""A test set taken apart: groups, lengths, origins and confusions."""

from __future__ import annotations

from voxmill.stages.evaluation.breakdown import break_down

from .builders import measurement, transcript


def test_the_worst_speaker_comes_first():
    """Where to look first stands at the top."""
    found = break_down(
        measurement(
            transcript("a b", "a b", speaker="ann"),
            transcript("a b", "x b", speaker="bob"),
            transcript("a b", "x y", speaker="cid"),
        )
    )
    speakers = found.tables[0]
    assert [(g.name, g.score.wer) for g in speakers.groups] == [
        ("cid", 1.0),
        ("bob", 0.5),
        ("ann", 0.0),
    ]
    assert speakers.worst_rate == 1.0


def test_of_many_speakers_the_worst_are_shown_and_the_rest_counted():
    """A table of 250 rows is read by nobody."""
    found = break_down(
        measurement(*(transcript("a", "b" if i < 3 else "a", speaker=f"s{i}") for i in range(50)))
    )
    assert len(found.tables[0].groups) == 30
    assert found.tables[0].left_out == 20
    assert [g.name for g in found.tables[0].groups[:3]] == ["s0", "s1", "s2"]


def test_lengths_stand_from_short_to_long():
    """The course matters more than the rank."""
    found = break_down(
        measurement(*(transcript("a", "a", seconds=1.0 + i / 10) for i in range(40)))
    )
    lengths = found.tables[1]
    assert lengths.title == "Length"
    assert lengths.groups[0].name.startswith("under")
    assert sum(g.score.utterances for g in lengths.groups) == 40


def test_origins_are_shown_only_where_there_are_several():
    """One row would repeat the total."""
    one = break_down(measurement(transcript("a", "a")))
    assert [table.title for table in one.tables] == ["Speaker", "Length"]
    two = break_down(
        measurement(transcript("a", "a", part="real"), transcript("a", "b", part="synthetic"))
    )
    assert [g.name for g in two.tables[2].groups] == ["synthetic / all", "real / all"]


def test_confusions_are_counted_over_the_whole_set():
    """Two utterances with the same mistake make one row of two."""
    found = break_down(
        measurement(transcript("five one", "nine one"), transcript("two five", "two nine"))
    )
    (confusion,) = found.confusions
    assert (confusion.pair.reference, confusion.pair.hypothesis, confusion.count) == (
        "five",
        "nine",
        2,
    )
