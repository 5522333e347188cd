"""Sizes that cannot be built are mistakes of the recipe, found before anything is computed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"d_model": 98, "heads": 4},
            r"d_model: found 98; .* a multiple of heads \(4\), such as (96|100)",
        ),
        (
            {"d_model": 27, "heads": 3},
            r"d_model: found 27; .* a multiple of heads \(3\), such as 24",
        ),
        ({"kernel": 8}, "kernel: found 8; allowed: an odd number, such as 9"),
    ],
)
def test_sizes_that_do_not_fit_are_told_with_some_that_do(values, words: str) -> None:
    """The message names a value that works."""
    with pytest.raises(ValidationError, match=words):
        ConformerEncoder(**values)


def test_bands_that_do_not_survive_subsampling_are_refused() -> None:
    """The convolutions would give another number of bands than the projection takes."""
    with pytest.raises(
        ValidationError, match=r"mel_bins: found 82; .*a multiple of encoder.subsampling"
    ):
        CtcModelConfig(mel_bins=82)


def test_the_suggested_width_is_accepted() -> None:
    """Following the advice is enough."""
    assert ConformerEncoder(d_model=24, heads=3).d_model == 24
