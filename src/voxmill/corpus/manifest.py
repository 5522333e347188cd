"""Manifests: one JSON object a line, keys sorted, so that a changed line is a changed fact."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voxmill.errors import DataError

Line = TypeVar("Line", bound=BaseModel)


def write_lines(path: Path, lines: Iterable[BaseModel]) -> None:
    """Writes a manifest in one go: readers see the old file or the whole new one."""
    write_text(path, "".join(_json(line.model_dump(mode="json")) + "\n" for line in lines))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes one JSON object, indented and with sorted keys, in one go."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file in one go: a temporary one on the same disk, then a rename.

    Two that write the same file at once each have a temporary one of their own: the last wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_lines(path: Path, model: type[Line]) -> list[Line]:
    """All lines of a manifest; an empty list where the file is empty.

    Raises:
        DataError: The file is missing, or a line is no JSON or not of that model.
    """
    return list(iterate_lines(path, model))


def iterate_lines(path: Path, model: type[Line]) -> Iterator[Line]:
    """The lines of a manifest, one by one.

    Raises:
        DataError: The file is missing, or a line is no JSON or not of that model.
    """
    if not path.is_file():
        raise DataError(f"Manifest {path} is missing. Run the stage that writes it again.")
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parsed(line, model, f"{path}, line {number}")
        except UnicodeDecodeError as error:
            raise DataError(f"Manifest {path}: not UTF-8 ({error}). Restore the file.") from error


def _parsed(line: str, model: type[Line], place: str) -> Line:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        raise DataError(
            f"Manifest {place}: expected a {model.__name__}, but {where}: {first['msg']}; "
            f"found {line.strip()[:120]!r}. Restore the file, or run the stage that wrote it."
        ) from error


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
