"""Decoders against the sum over every single path, which is the definition of CTC."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import UsageError
from voxmill.families.ctc.decode import beam_search, decoder_named, greedy


def random_scores(frames: int, tokens: int, seed: int, sharpness: float = 1.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((frames, tokens))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def collapse(path) -> tuple[int, ...]:
    return tuple(token for token, _ in groupby(path) if token != 0)


def likelihoods(scores: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of each labelling: its paths, all of them, added up."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(scores.shape[1]), repeat=len(scores)):
        probability = float(np.exp(sum(scores[t, token] for t, token in enumerate(path))))
        found[collapse(path)] = found.get(collapse(path), 0.0) + probability
    return found


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 500))
@settings(max_examples=80, deadline=None)
def test_a_wide_beam_finds_the_likeliest_labelling_of_all(frames, tokens, seed) -> None:
    """With every prefix kept, prefix beam search is exact."""
    scores = random_scores(frames, tokens, seed)
    exact = likelihoods(scores)
    found = beam_search(scores, width=10_000)
    assert exact[found] == pytest.approx(max(exact.values()), rel=1e-4)


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 500), st.integers(0, 3), st.data())
@settings(max_examples=120, deadline=None)
def test_an_answer_of_a_known_length_is_the_likeliest_of_that_length(
    frames, tokens, seed, fewest, data
) -> None:
    """Among all labellings with as many tokens as were asked for, and there is one."""
    most = data.draw(st.none() | st.integers(max(1, fewest), 4))
    scores = random_scores(frames, tokens, seed, sharpness=2.0)
    exact = likelihoods(scores)
    reached = min(fewest, max(map(len, exact)))  # as many as the frames have room for
    allowed = {
        labels: probability
        for labels, probability in exact.items()
        if reached <= len(labels) <= (most or frames)
    }
    found = beam_search(scores, width=10_000, fewest=fewest, most=most)
    assert allowed[found] == pytest.approx(max(allowed.values()), rel=1e-4)


def test_a_word_that_must_be_there_is_found_under_a_narrow_beam_and_a_loud_blank() -> None:
    """Blank is all but certain in each of 200 frames: only the minimum makes the word come out."""
    scores = np.full((200, 12), -30.0, dtype=np.float32)
    scores[:, 0] = 0.0
    scores[120, 7] = -14.0
    assert greedy(scores) == beam_search(scores, width=2) == ()
    assert beam_search(scores, width=2, fewest=1, most=1) == (7,)


@given(st.integers(1, 6), st.integers(2, 4), st.integers(0, 500))
@settings(max_examples=60, deadline=None)
def test_greedy_is_the_likeliest_path_collapsed(frames, tokens, seed) -> None:
    """The best token of each frame, repeats merged, blanks dropped."""
    scores = random_scores(frames, tokens, seed)
    assert greedy(scores) == collapse(scores.argmax(1))


def test_the_beam_adds_up_paths_where_greedy_takes_one() -> None:
    """Blank is likelier in each frame (0.6), yet `a` over all its paths is likelier than none."""
    scores = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))
    assert greedy(scores) == ()
    assert beam_search(scores, width=8) == (1,)


def test_a_repeated_label_needs_a_blank_between() -> None:
    """`aa` comes from a, blank, a; three a in a row are one."""
    sharp = np.full((3, 2), -10.0, dtype=np.float32)
    sharp[[0, 2], 1] = sharp[1, 0] = 0.0
    assert greedy(sharp) == beam_search(sharp, width=4) == (1, 1)
    held = np.array([[-10.0, 0.0]] * 3, dtype=np.float32)
    assert greedy(held) == beam_search(held, width=4) == (1,)


def test_no_frames_are_no_labels() -> None:
    """Nothing heard, nothing written."""
    nothing = np.zeros((0, 5), dtype=np.float32)
    assert greedy(nothing) == beam_search(nothing, width=3) == ()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("greedy", "ctc-greedy"),
        ("ctc-greedy", "ctc-greedy"),
        ("beam", "ctc-beam8"),
        ("beam16", "ctc-beam16"),
        ("ctc-beam4", "ctc-beam4"),
        ("beam:1-1", "ctc-beam8:1-1"),
        ("beam4:2-", "ctc-beam4:2-"),
        ("ctc-beam4:0-3", "ctc-beam4:0-3"),
        ("beam:0-", "ctc-beam8"),
    ],
)
def test_decoders_go_by_the_name_that_figures_carry(asked: str, name: str) -> None:
    """The name tells the kind and the width."""
    assert decoder_named(asked).name == name


@pytest.mark.parametrize(
    "asked", ["viterbi", "beam0", "beam-3", "", "beam:3-2", "beam8:1", "beam:-"]
)
def test_an_unknown_decoder_is_refused_with_those_there_are(asked: str) -> None:
    """A typing mistake costs one message."""
    with pytest.raises(UsageError, match="greedy, beam, beam followed by a width"):
        decoder_named(asked)
