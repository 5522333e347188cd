"""A tokenizer that comes with a checkpoint: taken over as it is, so that its labels keep meaning.

Training a new one would number the tokens anew, and the checkpoint's head would write nonsense.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxmill.errors import DataError
from voxmill.text.tokenizer import BLANK_ID, TextTokenizer, round_trip_failures, write_folder

_BLANKS = frozenset({"pad", "blank", "blk", "ctc_blank", "eps", "epsilon"})
"""What programs call CTC's blank, without brackets, in lower case."""
_CONFIG = "tokenizer_config.json"


def import_tokenizer(source: Path, texts: Sequence[str], out: Path) -> None:
    """Copies a tokenizer folder, or makes one out of a bare tokenizer.json.

    Args:
        source: Folder with `tokenizer.json`.
        texts: Training transcripts, normalised.
        out: Folder to write; it must not exist.

    Raises:
        DataError: It cannot be read, its token 0 is no blank, it lacks characters of the texts, or
            does not give a text back as it was.
    """
    tokenizer = TextTokenizer.from_folder(source)
    _refuse_other_blank(tokenizer, source)
    _refuse_missing(tokenizer, texts, source)
    _refuse_changed(tokenizer, texts, source)
    if (source / _CONFIG).is_file():
        shutil.copytree(source, out, copy_function=shutil.copyfile)
    else:
        write_folder(tokenizer, out)


def missing_characters(tokenizer: TextTokenizer, texts: Iterable[str]) -> str:
    """Characters of the texts that no token stands for, each once, in order."""
    missing: set[str] = set()
    for text in texts:
        known = tokenizer.known(text)
        missing.update(sign for sign, is_known in zip(text, known, strict=True) if not is_known)
    return "".join(sorted(missing))


def _refuse_other_blank(tokenizer: TextTokenizer, source: Path) -> None:
    found = tokenizer.tokens[BLANK_ID] if tokenizer.size else "nothing"
    if found.strip("<>[]|").lower() not in _BLANKS:
        raise DataError(
            f"Imported tokenizer {source}: token {BLANK_ID} is {found!r}; expected CTC's blank, "
            "such as <pad>. It belongs to another kind of model: take the tokenizer that the "
            "checkpoint was trained with by CTC, or leave base.init_tokenizer out and let prepare "
            "train one."
        )


def _refuse_missing(tokenizer: TextTokenizer, texts: Iterable[str], source: Path) -> None:
    missing = missing_characters(tokenizer, texts)
    if missing:
        raise DataError(
            f"Imported tokenizer {source}: it has no token for {len(missing)} characters of the "
            f"training transcripts: {missing[:40]!r}. Normalise texts as they were when it was "
            "made (prepare.text, its `case` above all), or start from a checkpoint whose "
            "vocabulary has them."
        )


def _refuse_changed(tokenizer: TextTokenizer, texts: Sequence[str], source: Path) -> None:
    changed = round_trip_failures(tokenizer, texts)
    if changed:
        first = changed[0]
        back = tokenizer.decode(tokenizer.encode(first))
        raise DataError(
            f"Imported tokenizer {source}: {len(changed)} of {len(texts)} training transcripts do "
            f"not come back from their own tokens: {first[:60]!r} becomes {back[:60]!r}. Normalise "
            "texts as they were when it was made (prepare.text), or take another tokenizer.json."
        )
