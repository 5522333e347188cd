"""A family without a model: characters as tokens, frames by a rule that the test gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class FakeModel(BaseModel):
    """A `model` section with a sample rate and nothing else."""

    model_config = ConfigDict(frozen=True)

    sample_rate_hz: int = 8000


class FakeFamily:
    """The part of a family that prepare uses; keeps what it was asked."""

    name = "fake"
    version = 1

    def __init__(
        self, frames: Callable[[float], int] = lambda seconds: round(seconds * 50)
    ) -> None:
        self._frames = frames
        self.trained_on: list[str] = []
        self.imported: Path | None = None
        self.starts: list[Path] = []

    def check_start(self, start: Path, model: BaseModel) -> None:
        """Keeps what it was asked about, and refuses nothing."""
        self.starts.append(start)

    def tokenizer(
        self, texts: Sequence[str], model: BaseModel, out: Path, *, imported: Path | None = None
    ) -> None:
        """Numbers the characters of the texts from 2."""
        self.trained_on = list(texts)
        self.imported = imported
        out.mkdir()
        (out / "characters.json").write_text(json.dumps(sorted(set("".join(texts)))))

    def encode(self, tokenizer: Path, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """1 for what the training texts do not have."""
        known = json.loads((tokenizer / "characters.json").read_text())
        number = {sign: i for i, sign in enumerate(known, start=2)}
        return [tuple(number.get(sign, 1) for sign in text) for text in texts]

    def frames(self, seconds: float, model: BaseModel) -> int:
        """By the rule that the test gave."""
        return self._frames(seconds)
