"""Where the measured artefacts come from, as the reports of the earlier stages tell it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from voxmill.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One stage that the measured artefacts were made by."""

    stage: str
    sha256: str
    """Of its report.json, which in turn names the hash of each of its files and inputs."""
    verdict: str
    git_commit: str
    started: JsonValue
    """As the report has it; None where it does not tell."""
    seconds: float | None
    versions: Mapping[str, str]
    inputs: Mapping[str, str]
    """sha256 of each input by name."""


def read_origins(inputs: Mapping[str, Path]) -> tuple[Origin, ...]:
    """The origins that have a report, in the order of the inputs.

    A folder without report.json (a stage function called by hand) is passed over.

    Raises:
        DataError: A report is there but cannot be read.
    """
    paths = {stage: folder / "report.json" for stage, folder in inputs.items()}
    return tuple(_origin(stage, path) for stage, path in paths.items() if path.is_file())


def _origin(stage: str, path: Path) -> Origin:
    content = path.read_bytes()
    try:
        report = json.loads(content)
        versions = {name: str(value) for name, value in (report.get("versions") or {}).items()}
        return Origin(
            stage=stage,
            sha256=hashlib.sha256(content).hexdigest(),
            verdict=str(report.get("verdict", "unknown")),
            git_commit=versions.pop("git_commit", ""),
            started=report.get("started"),
            seconds=report.get("seconds"),
            versions=versions,
            inputs={name: str(value) for name, value in (report.get("inputs") or {}).items()},
        )
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not a report of a stage ({error!r}). Run {stage} again, or `dvc pull`."
        ) from error
