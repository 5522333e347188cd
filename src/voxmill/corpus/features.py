"""Features in place of sound: what each array is, and what the training data have.

`features.json` in ingest's output says what the source holds, in prepare's what the training split
measures; neither is there where recordings are heard.

Legend: T steps, D dimensions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxmill.corpus.manifest import write_json
from voxmill.errors import DataError
from voxmill.signal.standardise import FeatureSettings

FEATURES_FILE = "features.json"


class FeatureShape(BaseModel):
    """What each array of a source has to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimensions: int = Field(ge=1)
    """D."""
    frame_seconds: float = Field(gt=0)
    """Length of one step."""


def write_shape(ingest: Path, shape: FeatureShape) -> None:
    """Says in ingest's output that it holds arrays."""
    write_json(ingest / FEATURES_FILE, shape.model_dump())


def read_shape(ingest: Path) -> FeatureShape | None:
    """What the arrays of ingest's output are; None where it holds recordings.

    Raises:
        DataError: The file is damaged.
    """
    file = ingest / FEATURES_FILE
    if not file.is_file():
        return None
    try:
        return FeatureShape.model_validate(_read(file))
    except ValidationError as error:
        raise _damaged(file, error) from error


def write_settings(prepared: Path, settings: FeatureSettings) -> None:
    """Keeps what was measured on the training split in prepare's output."""
    write_json(prepared / FEATURES_FILE, settings.to_json())


def read_settings(prepared: Path) -> FeatureSettings | None:
    """What was measured on the training split; None where recordings were prepared.

    Raises:
        DataError: The file is damaged.
    """
    file = prepared / FEATURES_FILE
    if not file.is_file():
        return None
    try:
        return FeatureSettings.from_json(_read(file))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(file, error) from error


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(
        f"{file} cannot be read: {error}. Restore it (`dvc pull`), or run the stage that wrote it "
        "again."
    )
