"""A folder for the Hugging Face hub: safetensors, tokenizer, processor and model card.

Nothing in it is pickled, and nothing in it is code, so that loading it runs nobody's program; but
for the one file of a network that transformers has no class for, which is a copy of our own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxmill.corpus.manifest import write_json
from voxmill.errors import DataError
from voxmill.families.family import Exportable
from voxmill.signal.frontend import FEATURES

CARD_FILE = "README.md"
FRONTEND_FILE = "frontend.json"
_ALLOWED_SUFFIXES = frozenset({".json", ".jinja", ".md", ".model", ".safetensors", ".txt"})


def write_hub_folder(pieces: Exportable, folder: Path, *, card: str) -> None:
    """Writes everything that one call of `transformers.pipeline` needs.

    The pipeline hears sound alone: with features, `frontend.json` says what to do to an array
    before the model, and the card how to call it.

    Args:
        pieces: The trained model.
        folder: Where to write; made where it is missing.
        card: Text of the model card.

    Raises:
        DataError: A library wrote a file that is neither weights, JSON nor text.
    """
    _without_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    pieces.network.save_pretrained(str(folder))
    pieces.processor.save_pretrained(str(folder))
    if pieces.frontend.get("kind") == FEATURES:
        write_json(folder / FRONTEND_FILE, pieces.frontend)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    foreign = sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix not in _ALLOWED_SUFFIXES
        and not _is_copy(file, pieces.code)
    )
    if foreign:
        raise DataError(
            f"Hugging Face folder {folder}: expected safetensors, JSON and text only, found "
            f"{', '.join(foreign)}. Remove what writes them: they may hold pickled code."
        )


def load_pipeline(folder: Path, *, task: str) -> Any:
    """What a user of the folder calls, and nothing else; runs on the CPU, fetches nothing.

    A folder with code of its own is trusted: `write_hub_folder` let in our own alone.
    """
    from transformers import pipeline

    _without_progress_bars()
    return pipeline(
        task,
        model=str(folder),
        device="cpu",
        local_files_only=True,
        trust_remote_code=any(folder.glob("*.py")),
    )


def _is_copy(file: Path, code: Path | None) -> bool:
    return code is not None and file.name == code.name and file.read_bytes() == code.read_bytes()


def _without_progress_bars() -> None:
    """Bars over one file say nothing and fill the logs of a stage."""
    from transformers.utils import logging

    logging.disable_progress_bar()
