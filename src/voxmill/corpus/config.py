"""Limits of the audit and rules of the split, as a recipe states them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from voxmill.section import Conflict, Section

SplitName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


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

    def conflicts(self) -> Iterator[Conflict]:
        """Some length is left between the two."""
        if self.min_seconds >= self.max_seconds:
            allowed = f"less than max_seconds ({self.max_seconds})"
            yield Conflict("min_seconds", str(self.min_seconds), allowed, others=("max_seconds",))


class SplitConfig(Section):
    """Who is trained on and who is tested on; an earlier assignment never moves."""

    by: Literal["hash", "speaker", "subset", "explicit"] = "hash"
    """`hash`: by utterance id; `speaker`: whole speakers, by hash; `subset` and `explicit`: as
    `assign` says (by subset or part of a mixture, or by speaker)."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    """Share that stopping and the best checkpoint look at."""
    test_share: float = Field(default=0.1, ge=0, lt=1)
    """Share that only `evaluate` looks at."""
    assign: dict[str, SplitName] = Field(default_factory=dict)
    """Split by subset or speaker: `train`, `validation`, `test` or another test set's name. With
    `by: subset`, a part of a mixture (`domain`) or its subset (`domain/clean`) is a name too. Those
    not named go to `train` and `validation` by hash."""
    train_only_parts: list[str] = Field(default_factory=list)
    """Parts of a mixed source that are trained on only, such as synthetic speech."""
    salt: str = "voxmill"
    """Changes every hash; set it once, before the first run."""

    def conflicts(self) -> Iterator[Conflict]:
        """Something is left to train on, and assignments are there where they are read."""
        if self.validation_share + self.test_share >= 1:
            found = f"{self.validation_share} with test_share {self.test_share}"
            allowed = "less than 1 together, or nothing is left to train on"
            yield Conflict("validation_share", found, allowed, others=("test_share",))
        told = self.by in ("subset", "explicit")
        if told and not self.assign:
            allowed = "a split for each name, such as `dev-clean: test`"
            yield Conflict("assign", f"nothing, with by: {self.by}", allowed, others=("by",))
        if self.assign and not told:
            found = f"assignments, which by: {self.by} does not read"
            yield Conflict("assign", found, "only with by: subset or explicit", others=("by",))
