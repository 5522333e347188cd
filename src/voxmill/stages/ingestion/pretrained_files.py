"""Which files of a pretrained model are taken: safetensors, configuration, tokenizer.

Pickled weights stay behind: opening them runs whatever their writer wanted.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from voxmill.errors import DataError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SMALL_FILES = (
    *(CONFIG, "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "normalizer.json"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    INDEX,
)
"""Everything that is no weights, as transformers names it."""
_LFS = b"version https://git-lfs"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot")


def chosen_files(names: Collection[str], small: Path, *, what: str) -> tuple[str, ...]:
    """The files that make a base model, in order.

    Args:
        names: Every file that there is, relative to the model's folder.
        small: Folder with those of `SMALL_FILES` that there are.
        what: How messages call the model.

    Raises:
        DataError: There is no configuration, no safetensors, or not every part of them.
    """
    if CONFIG not in names:
        raise DataError(
            f"{what}: expected {CONFIG} beside the weights, found {_listed(names)}. Correct "
            "base.model: it names a folder or hub id as transformers' save_pretrained writes it."
        )
    beside = [name for name in SMALL_FILES if name in names and name != INDEX]
    if WEIGHTS in names:
        return (*sorted(beside), WEIGHTS)
    if INDEX not in names:
        raise DataError(_no_safetensors(names, what))
    return (*sorted([*beside, INDEX]), *_parts(names, small / INDEX, what))


def check_weights(file: Path, *, what: str) -> None:
    """Reads the header of a safetensors file, which says how long the file has to be.

    Raises:
        DataError: The file is cut off, or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            pass
    except SafetensorError as error:
        with file.open("rb") as content:
            is_pointer = content.read(len(_LFS)) == _LFS
        advice = "It is a Git LFS pointer: `git lfs pull` brings the file itself"
        raise DataError(
            f"{what}: {file.name} is no whole safetensors file ({error}). "
            f"{advice if is_pointer else 'Bring it here anew'}."
        ) from error


def _parts(names: Collection[str], index: Path, what: str) -> list[str]:
    try:
        content: Any = json.loads(index.read_bytes())
        parts = sorted(set(content["weight_map"].values()))
        plain = all(isinstance(one, str) and Path(one).name == one for one in parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{what}: {INDEX} cannot be read ({error!r}). Bring it here anew."
        ) from error
    if not parts or not plain or not all(one.endswith(".safetensors") for one in parts):
        raise DataError(
            f"{what}: {INDEX} names {_listed(parts)}; expected .safetensors files beside it. "
            "Take another copy of the model."
        )
    missing = [one for one in parts if one not in names]
    if missing:
        raise DataError(
            f"{what}: {INDEX} names {len(parts)} files, of which {_listed(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not there. Copy or download the rest."
        )
    return parts


def _no_safetensors(names: Collection[str], what: str) -> str:
    pickled = sorted(name for name in names if name.endswith(_PICKLED))
    found = f"{_listed(pickled)}, which run code when they are opened" if pickled else "none"
    return (
        f"{what}: expected weights as {WEIGHTS} or {INDEX} with its parts, found {found}. Name in "
        "base.revision a commit that has safetensors (the hub's conversion bot offers one as a "
        "pull request); or, on a machine that you trust with it, load the model and "
        "save_pretrained() it to a folder, and name that in base.model."
    )


def _listed(names: Collection[str], most: int = 8) -> str:
    shown = sorted(map(str, names))
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return (", ".join(shown[:most]) or "nothing") + more
