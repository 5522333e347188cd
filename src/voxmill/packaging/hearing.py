"""Does the Hugging Face folder load with one call, and hear what was measured?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmill.families.family import Recogniser, Samples
from voxmill.packaging.hub_folder import load_pipeline


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """A folder at work as a stranger would use it."""

    heard: int
    """Utterances that came back as text."""
    same: int
    """Of those, how many read exactly as the recogniser that evaluate uses reads them."""
    problem: str = ""
    """Why the folder does not work; empty where it does."""

    @property
    def works(self) -> bool:
        """The folder loaded and every utterance came back as text."""
        return not self.problem


def hear(
    folder: Path, *, task: str, recogniser: Recogniser, utterances: Sequence[Samples]
) -> Hearing:
    """Loads the folder with one call and transcribes some utterances."""
    try:
        pipe = load_pipeline(folder, task=task)
        texts = [str(pipe(samples.copy())["text"]) for samples in utterances]
    except Exception as error:  # noqa: BLE001 - whatever breaks a user's call fails the check
        return Hearing(heard=0, same=0, problem=f"{type(error).__name__}: {error}"[:300])
    measured = [recogniser.transcribe(samples).text for samples in utterances]
    same = sum(a.strip() == b.strip() for a, b in zip(texts, measured, strict=True))
    return Hearing(heard=len(texts), same=same)
