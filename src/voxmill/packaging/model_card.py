"""The model card: what a stranger must know before using a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

_LIBRARY = "transformers"


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a model comes from, exactly enough to make it again."""

    recipe: str
    git_commit: str
    """Commit of the run; empty where it is not known."""
    reports: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each stage's report.json, by stage."""


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """How much one split holds."""

    name: str
    utterances: int
    hours: float
    speakers: int


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a card tells."""

    title: str
    language: str
    licence: str
    """Hugging Face licence id."""
    task: str
    architecture: str
    """One sentence."""
    source: str
    """One sentence on the training data's origin."""
    splits: Sequence[SplitSummary]
    figures: Mapping[str, float]
    """Figures known when the package was made, by name."""
    figures_decoder: str
    """Decoder that they were measured with."""
    lineage: Lineage
    hears_arrays: bool = False
    """Whether arrays (T, D) go in, which no pipeline of transformers takes."""


def render(card: ModelCard) -> str:
    """The card as the hub reads it: YAML front matter and Markdown."""
    parts = [_front_matter(card), _opening(card), _use(card), _data(card)]
    parts += [_figures(card), _lineage(card)]
    return "\n\n".join(parts) + "\n"


def _front_matter(card: ModelCard) -> str:
    values = {
        "language": [card.language],
        "license": card.licence,
        "library_name": _LIBRARY,
        "pipeline_tag": card.task,
        "tags": ["voxmill", card.lineage.recipe],
    }
    if card.hears_arrays:
        del values["pipeline_tag"]  # the hub would offer a microphone
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True).strip()
    return f"---\n{body}\n---"


def _opening(card: ModelCard) -> str:
    return f"# {card.title}\n\n{card.architecture}"


def _use(card: ModelCard) -> str:
    if card.hears_arrays:
        return _USE_OF_ARRAYS
    return (
        "## How to use\n\n"
        "```python\n"
        "from transformers import pipeline\n\n"
        f'recognise = pipeline("{card.task}", model="path/to/this/folder")\n'
        'print(recognise("speech.wav")["text"])\n'
        "```\n\n"
        "The same model lies beside this folder as ONNX (fp32 and int8), which needs no PyTorch."
    )


_USE_OF_ARRAYS = """\
## How to use

The input is an array (T, D), not sound, so `transformers.pipeline` does not apply. `frontend.json`
has the mean and the deviation of each dimension in the training data.

```python
import json

import numpy as np
import torch
from transformers import AutoModelForCTC, AutoTokenizer

folder = "path/to/this/folder"
model = AutoModelForCTC.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with open(f"{folder}/frontend.json") as file:
    frontend = json.load(file)

array = np.load("features.npy", allow_pickle=False)  # (T, D)
steps = (array - np.float32(frontend["mean"])) / np.float32(frontend["deviation"])
with torch.inference_mode():
    features = torch.tensor(steps, dtype=torch.float32)[None]
    tokens = model(input_features=features).logits.argmax(-1)[0]
print(tokenizer.decode(tokens))  # joins repeats and drops blanks
```

The same model lies beside this folder as ONNX (fp32 and int8), which needs no PyTorch."""


def _data(card: ModelCard) -> str:
    rows = "".join(
        f"| {split.name} | {split.utterances} | {split.hours:.2f} | {split.speakers} |\n"
        for split in card.splits
    )
    table = "| split | utterances | hours | speakers |\n|---|---:|---:|---:|\n" + rows
    return f"## Training data\n\n{card.source}\n\n{table}".rstrip()


def _figures(card: ModelCard) -> str:
    if not card.figures:
        return (
            "## Figures\n\nMeasured by the stage `evaluate` on the files of this package; see the "
            "report of the release."
        )
    rows = "".join(f"| {name} | {value:.4g} |\n" for name, value in sorted(card.figures.items()))
    return (
        f"## Figures\n\nOn validation data, decoder `{card.figures_decoder}`, before packaging; "
        "figures on test data stand in the report of the release.\n\n"
        "| figure | value |\n|---|---:|\n" + rows
    ).rstrip()


def _lineage(card: ModelCard) -> str:
    lineage = card.lineage
    lines = [
        f"- recipe: `{lineage.recipe}`",
        f"- commit: `{lineage.git_commit or 'unknown'}`",
        f"- licence: `{card.licence}`",
    ]
    lines += [
        f"- report of {stage}: sha256 `{digest}`"
        for stage, digest in sorted(lineage.reports.items())
    ]
    return "## Lineage\n\n" + "\n".join(lines)
