"""A package: the Hugging Face folder, the ONNX files with what they need, and the list of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from voxmill.families.family import Artefact, Exportable, Samples
from voxmill.packaging.hub_folder import FRONTEND_FILE, write_hub_folder
from voxmill.packaging.onnx_file import write_fp32, write_int8
from voxmill.text.ngram import FILE as LANGUAGE_FILE
from voxmill.text.ngram import NgramModel

LIST_FILE = "artefacts.json"
PLACES = {
    "hf": "hf",
    "onnx-fp32": "onnx/model.onnx",
    "onnx-int8": "onnx/model.int8.onnx",
}
"""Path of each artefact inside a package."""


def write_package(
    pieces: Exportable,
    package: Path,
    *,
    card: str,
    batch: list[Samples],
    language: NgramModel | None = None,
) -> tuple[Artefact, ...]:
    """Writes every artefact and their list.

    Args:
        pieces: The trained model.
        package: Folder to write into.
        card: Model card of the Hugging Face folder.
        batch: Two or more utterances of unequal length, for tracing.
        language: N-grams that the decoder `beam` may heed; goes beside each artefact.
    """
    write_hub_folder(pieces, package / PLACES["hf"], card=card)
    fp32, int8 = package / PLACES["onnx-fp32"], package / PLACES["onnx-int8"]
    write_fp32(pieces.graph, fp32, batch=batch, metadata=pieces.metadata)
    write_int8(fp32, int8, metadata=pieces.metadata)
    frontend = json.dumps(dict(pieces.frontend), indent=1, sort_keys=True)
    (fp32.parent / FRONTEND_FILE).write_text(frontend + "\n", encoding="utf-8")
    shutil.copytree(pieces.tokenizer, fp32.parent / "tokenizer", dirs_exist_ok=True)
    if language is not None:
        for folder in (package / PLACES["hf"], fp32.parent):
            language.write(folder / LANGUAGE_FILE)
    artefacts = tuple(
        Artefact(name=name, path=package / place, bytes=_bytes(package / place))
        for name, place in PLACES.items()
    )
    _write_list(package, artefacts)
    return artefacts


def _write_list(package: Path, artefacts: Sequence[Artefact]) -> None:
    entries = [
        {
            "name": artefact.name,
            "path": artefact.path.relative_to(package).as_posix(),
            "bytes": artefact.bytes,
        }
        for artefact in artefacts
    ]
    text = json.dumps(entries, indent=1, sort_keys=True)
    (package / LIST_FILE).write_text(text + "\n", encoding="utf-8")


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
