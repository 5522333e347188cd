"""Limits of the audit and rules of the split, as a recipe states them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.section import Section


class AuditConfig(Section):
    """Is the data sound? Limits for one recording and for the whole."""

    min_seconds: float = Field(default=0.1, gt=0)
    """Shorter recordings are rejected."""
    max_seconds: float = Field(default=60.0, gt=0)
    """Longer recordings are rejected."""
    frame_seconds: float = Field(default=0.04, gt=0)
    """Length of the model's output frame: CTC needs at least labels + repeats of them."""
    max_rejected_share: float = Field(default=0.1, ge=0, le=1)
    """Gate: share of the source's utterances that may be rejected."""
    min_accepted: int = Field(default=10, ge=1)
    """Gate: fewest utterances to go on with."""


class SplitConfig(Section):
    """Who is trained on and who is tested on; an earlier assignment never moves."""

    by: Literal["hash", "speaker", "subset", "explicit"] = "hash"
    """`hash`: by utterance id; `speaker`: whole speakers, by hash; `subset` and `explicit`: as
    `assign` says (by subset name, or by speaker)."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    test_share: float = Field(default=0.1, ge=0, lt=1)
    assign: dict[str, str] = Field(default_factory=dict)
    """Split by subset or speaker: `train`, `validation`, `test` or another test set's name.
    Those not named go to `train` and `validation` by hash."""
    train_only_parts: list[str] = Field(default_factory=list)
    """Parts of a mixed source that are trained on only, such as synthetic speech."""
    salt: str = "voxmill"
    """Changes every hash; set it once, before the first run."""
