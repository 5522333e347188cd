"""report.json: what a stage did, with what, and whether its gate holds; written last, at once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from voxmill.errors import DataError

REPORT_FILE = "report.json"
_BY_SIZE = frozenset({"source", "base", "init"})
_BLOCK_BYTES = 1 << 20


class CheckResult(BaseModel):
    """One check of the gate, as in `Check`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | str
    limit: str
    passed: bool
    help: str = ""


class OutputFile(BaseModel):
    """One file that the stage wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class StageReport(BaseModel):
    """All that a report says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    recipe: str
    version: int
    """Of the stage's code."""
    verdict: Literal["passed", "failed", "not_applicable"]
    checks: tuple[CheckResult, ...] = ()
    figures: dict[str, JsonValue] = {}
    config: dict[str, JsonValue] = {}
    """The parts of the recipe that the stage reads, defaults and overrides included."""
    inputs: dict[str, str] = {}
    """sha256 by input name: of the input's report.json, which names its files' hashes; else of
    its listing, see `input_digest`."""
    outputs: dict[str, OutputFile] = {}
    """By path relative to the stage's folder, sorted; report.json itself is not among them."""
    versions: dict[str, str] = {}
    """voxmill, git_commit (with `-dirty` where code was uncommitted), python, libraries."""
    machine: dict[str, JsonValue] = {}
    shard: str = "0/1"
    attempt: int = 1
    started: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    """Most resident memory of this process or of one child."""

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def read_report(folder: Path) -> StageReport:
    """The report in a stage's output folder.

    Raises:
        DataError: There is none, or it is not a report.
    """
    path = folder / REPORT_FILE
    try:
        return StageReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"No {path}: the stage has not finished. Run it again.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{path} is not a stage report: {place}: {first['msg']}. Run the stage again."
        ) from error


def write_report(folder: Path, report: StageReport) -> None:
    """Writes the report so that it is there wholly or not at all, even if the power fails."""
    content = json.dumps(
        report.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False
    )
    unfinished = folder / f".{REPORT_FILE}.unfinished"
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / REPORT_FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def output_files(folder: Path) -> dict[str, OutputFile]:
    """Size and hash of each file in a stage's output folder, but for the report itself."""
    return {
        path.relative_to(folder).as_posix(): OutputFile(
            bytes=path.stat().st_size, sha256=file_digest(path)
        )
        for path in _files(folder)
        if path != folder / REPORT_FILE
    }


def input_digests(inputs: Mapping[str, Path]) -> dict[str, str]:
    """The digest of each input folder, by its name."""
    return {name: input_digest(name, folder) for name, folder in sorted(inputs.items())}


def input_digest(name: str, folder: Path) -> str:
    """sha256 that stands for an input folder.

    Of report.json where it is a stage's output; of the files' paths and hashes elsewhere. For the
    source, base model and checkpoint to start from, of paths and sizes only: they may hold
    terabytes, and what ingest makes of them has the hash of each file.
    """
    if (folder / REPORT_FILE).is_file():
        return file_digest(folder / REPORT_FILE)
    by_size = name.partition(".")[0] in _BY_SIZE
    listing = hashlib.sha256()
    for path in _files(folder):
        mark = str(path.stat().st_size) if by_size else file_digest(path)
        listing.update(f"{path.relative_to(folder).as_posix()}\t{mark}\n".encode())
    return listing.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return iter(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))
