"""Does the Hugging Face folder load as its card says, and hear what was measured?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmill.families.family import Recogniser, Samples
from voxmill.packaging.hub_folder import FRONTEND_FILE, load_pipeline


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
    """Loads the folder as its card says and transcribes some utterances."""
    try:
        if (folder / FRONTEND_FILE).is_file():
            texts = _read_arrays(folder, utterances)
        else:
            pipe = load_pipeline(folder, task=task)
            texts = [str(pipe(samples.copy())["text"]) for samples in utterances]
    except Exception as error:  # noqa: BLE001 - whatever breaks a user's call fails the check
        return Hearing(heard=0, same=0, problem=f"{type(error).__name__}: {error}"[:300])
    measured = [recogniser.transcribe(samples).text for samples in utterances]
    same = sum(a.strip() == b.strip() for a, b in zip(texts, measured, strict=True))
    return Hearing(heard=len(texts), same=same)


def _read_arrays(folder: Path, arrays: Sequence[Samples]) -> list[str]:
    """What the card of a model of features says, line by line: no pipeline hears arrays (T, D)."""
    import numpy as np
    import torch
    from transformers import AutoModelForCTC, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForCTC.from_pretrained(str(folder), use_safetensors=True, **local).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(folder), **local)
    frontend = json.loads((folder / FRONTEND_FILE).read_text(encoding="utf-8"))
    mean, deviation = (np.float32(frontend[name]) for name in ("mean", "deviation"))
    texts = []
    for array in arrays:
        steps = (array - mean) / deviation  # (T, D)
        with torch.inference_mode():
            tokens = model(input_features=torch.tensor(steps)[None]).logits.argmax(-1)[0]  # (S,)
        texts.append(str(tokenizer.decode(tokens)))
    return texts
