"""N-grams against probabilities computed by hand, and against themselves after a trip to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import DataError
from voxmill.text.ngram import FILE, NgramModel

transcripts = st.lists(st.lists(st.integers(1, 4), max_size=6), max_size=5)


def counted(lines: list[list[int]], order: int = 3) -> NgramModel:
    return NgramModel.counted(lines, order=order, tokens=5, weight=0.7, token_bonus=0.2)


@settings(deadline=None)
@given(lines=transcripts, written=st.lists(st.integers(1, 4), max_size=5), order=st.integers(1, 4))
def test_what_may_follow_adds_up_to_one(lines, written, order) -> None:
    """After any beginning, seen or not, and no token is impossible."""
    found = counted(lines, order).probabilities(tuple(written))
    assert found.sum() == pytest.approx(1.0)
    assert (found > 0).all()


def test_probabilities_are_those_of_witten_and_bell() -> None:
    """By hand, for the transcripts `1 2`, `1 2` and `1 3` with bigrams over five tokens."""
    model = counted([[1, 2], [1, 2], [1, 3]], order=2)
    single = np.full(5, 1 / 5) * 3 / 9  # six tokens seen, three different ones
    single[[1, 2, 3]] += np.array([3, 2, 1]) / 9
    after_one = single * 2 / 5  # three times followed, by two different ones
    after_one[[2, 3]] += np.array([2, 1]) / 5
    assert model.probabilities((1,)) == pytest.approx(after_one)
    assert model.probabilities((4,)) == pytest.approx(single)  # nothing ever followed a 4
    assert model.scores((1,)) == pytest.approx(0.7 * np.log(after_one) + 0.2)


def test_the_first_token_is_known_by_its_place() -> None:
    """Nothing but 1 ever began a transcript."""
    model = counted([[1, 2], [1, 3]])
    assert model.probabilities(()).argmax() == 1
    assert model.probabilities(())[1] > model.probabilities((2,))[1]


@settings(deadline=None, max_examples=25)
@given(lines=transcripts)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, lines) -> None:
    """Same scores, and the same bytes whatever the order of the transcripts."""
    folder = tmp_path_factory.mktemp("ngram")
    model = counted(lines)
    model.write(folder / FILE)
    counted(lines[::-1]).write(folder / "again.npz")
    assert (folder / FILE).read_bytes() == (folder / "again.npz").read_bytes()
    read = NgramModel.read(folder / FILE)
    for written in [(), (1,), (1, 2), (3, 3, 3)]:
        assert (read.scores(written) == model.scores(written)).all()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """With what to do."""
    counted([[1, 2]]).write(tmp_path / FILE)
    whole = (tmp_path / FILE).read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"settings.npy") + 60] ^= 0xFF  # in what the zip file has packed there
    for broken in (b"", b"no such thing", whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / FILE).write_bytes(broken)
        with pytest.raises(DataError, match=r"cannot be read: .* Run package\."):
            NgramModel.read(tmp_path / FILE)
