"""The base of every recipe section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Conflict:
    """A field that is right by itself and cannot work together with others."""

    field: str
    """Dotted, from the section: `min_words`, `encoder.subsampling`."""
    found: str
    allowed: str
    others: tuple[str, ...] = ()
    """The fields that it does not fit to."""

    def __str__(self) -> str:
        return f"{self.field}: found {self.found}; allowed: {self.allowed}"


class Section(BaseModel):
    """Frozen, strict and closed: unknown keys and wrong types are mistakes, never guesses."""

    # Validators are built when a recipe is first read, all in one go, so that `--help` does not
    # pay for them; docstrings of fields are read by recipe.form, which alone needs them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Every rule between fields that this section breaks; the base has no rules."""
        yield from ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        # All at once: a validator for each rule would stop at the first one that is broken.
        found = tuple(self.conflicts())
        if found:
            text = ". ".join(str(conflict) for conflict in found)
            raise PydanticCustomError("conflict", "{text}", {"text": text, "conflicts": found})
        return self
