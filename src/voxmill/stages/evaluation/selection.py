"""What is to be measured: test sets from prepare, artefacts from package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxmill.corpus.manifest import iterate_lines
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError
from voxmill.families.family import Artefact
from voxmill.recipe.sections import EvaluateConfig

_TRAINED_ON = frozenset({"train", "validation"})
_RESERVED = "sizes"
"""A key of metrics.json beside the names of the test sets."""


def decoder_name(config: EvaluateConfig) -> str:
    """The decoder as `Family.recogniser` takes it: `greedy`, `beam8`, `attention`.

    `beam8` is eight wide; `beam8-lm` heeds the package's language model; `beam8:1-1` writes
    exactly one token.
    """
    if config.decoder != "beam":
        return config.decoder
    most = config.max_tokens or ""
    counts = f":{config.min_tokens}-{most}" if config.min_tokens or most else ""
    language = "-lm" if config.language_model else ""
    return f"beam{config.beam_width}{language}{counts}"


def read_test_sets(
    prepared: Path, *, max_utterances: int | None
) -> dict[str, tuple[PreparedUtterance, ...]]:
    """The utterances of every split but train and validation, in the order of their ids.

    Args:
        prepared: Output folder of prepare.
        max_utterances: Keep the first so many of each set in the order of the ids' hashes, which
            has nothing to do with speaker or length; None keeps all.

    Raises:
        DataError: There is no test utterance at all, a line is broken, or a name is reserved.
    """
    path = prepared / "utterances.jsonl"
    sets: dict[str, list[PreparedUtterance]] = {}
    for utterance in iterate_lines(path, PreparedUtterance):
        if utterance.split not in _TRAINED_ON:
            sets.setdefault(utterance.split, []).append(utterance)
    if not sets:
        raise DataError(
            f"Test sets: none of the utterances in {path} is in a split other than train and "
            "validation, so there is nothing to measure. Raise prepare.split.test_share or assign "
            "speakers or subsets to `test` in prepare.split.assign."
        )
    if _RESERVED in sets:
        raise DataError(
            f"Test sets: one is named {_RESERVED!r}, which metrics.json needs for itself. "
            "Give it another name in prepare.split.assign."
        )
    return {name: _first(sets[name], max_utterances) for name in sorted(sets)}


def read_artefacts(packaged: Path, names: Sequence[str]) -> tuple[Artefact, ...]:
    """The artefacts of those names, as package listed them, with their paths made whole.

    Raises:
        DataError: The listing is missing or broken, or an artefact is not there.
    """
    listed = _listing(packaged / "artefacts.json")
    missing = [name for name in names if name not in listed]
    if missing:
        raise DataError(
            f"Artefacts: {packaged / 'artefacts.json'} lists {', '.join(sorted(listed)) or 'none'} "
            f"but evaluate.artefacts asks for {', '.join(missing)}. Run package again, or take "
            "them out of the recipe."
        )
    artefacts = tuple(
        Artefact(name=name, path=packaged / listed[name]["path"], bytes=int(listed[name]["bytes"]))
        for name in names
    )
    for artefact in artefacts:
        if not artefact.path.exists():
            raise DataError(
                f"Artefact {artefact.name}: {artefact.path} is listed but not there. "
                "Fetch it with `dvc pull`, or run package again."
            )
    return artefacts


def _first(
    utterances: Sequence[PreparedUtterance], count: int | None
) -> tuple[PreparedUtterance, ...]:
    shuffled = sorted(utterances, key=lambda u: hashlib.sha256(u.id.encode()).digest())
    return tuple(sorted(shuffled[:count], key=lambda utterance: utterance.id))


def _listing(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            entry["name"]: {"path": entry["path"], "bytes": entry["bytes"]} for entry in entries
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"Artefacts: {path} cannot be read as a list of name, path and bytes ({error!r}). "
            "Run package again."
        ) from error
