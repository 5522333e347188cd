"""Decoders against the sum over every single path, which is the definition of CTC."""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.decode import beam_search, decoder_named, greedy
from voxmill.text.ngram import FILE, NgramModel


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
        ("beam16-lm", "ctc-beam16-lm"),
        ("beam-lm:1-1", "ctc-beam8-lm:1-1"),
    ],
)
def test_decoders_go_by_the_name_that_figures_carry(asked: str, name: str, tmp_path: Path) -> None:
    """The name tells the kind, the width, and what else it heeds."""
    NgramModel.counted([], order=2, tokens=3, weight=1.0, token_bonus=0.0).write(tmp_path / FILE)
    assert decoder_named(asked, tmp_path).name == name


@pytest.mark.parametrize(
    "asked", ["viterbi", "beam0", "beam-3", "", "beam:3-2", "beam8:1", "beam:-"]
)
def test_an_unknown_decoder_is_refused_with_those_there_are(asked: str, tmp_path: Path) -> None:
    """A typing mistake costs one message."""
    with pytest.raises(UsageError, match="greedy, beam, beam followed by a width"):
        decoder_named(asked, tmp_path)


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 500), st.floats(0.1, 2.0))
@settings(max_examples=60, deadline=None)
def test_a_language_model_adds_its_scores_to_those_of_all_paths(
    frames, tokens, seed, weight
) -> None:
    """The answer has the highest sum of both, over every labelling there is."""
    scores = random_scores(frames, tokens, seed)
    spoken = np.random.default_rng(seed).integers(1, tokens, size=(6, 4)).tolist()
    language = NgramModel.counted(spoken, order=3, tokens=tokens, weight=weight, token_bonus=0.3)
    told = {
        labels: float(np.log(probability))
        + sum(language.scores(labels[:i])[token] for i, token in enumerate(labels))
        for labels, probability in likelihoods(scores).items()
    }
    found = beam_search(scores, width=10_000, language=language)
    assert told[found] == pytest.approx(max(told.values()), abs=1e-4)


def test_a_language_model_spells_what_the_network_cannot_tell_apart() -> None:
    """Two letters sound the same; the transcripts know which of them follows."""
    scores = np.log(np.array([[0.02, 0.96, 0.01, 0.01], [0.02, 0.01, 0.47, 0.5]], dtype=np.float32))
    language = NgramModel.counted(
        [[1, 2]] * 9 + [[1, 3]], order=2, tokens=4, weight=0.5, token_bonus=0.0
    )
    assert beam_search(scores, width=8) == (1, 3)
    assert beam_search(scores, width=8, language=language) == (1, 2)


def test_a_package_without_language_model_says_how_to_get_one(tmp_path: Path) -> None:
    """Nothing is decoded in silence without what was asked for."""
    with pytest.raises(DataError, match=r"package\.language_model"):
        decoder_named("beam-lm", tmp_path)
