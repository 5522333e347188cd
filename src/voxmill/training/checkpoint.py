"""Checkpoints that are whole or not there: written aside, synced, hashed, renamed.

A checkpoint is a folder `step-00000100` with `state.pt` and, written last, `manifest.json` with
the sha256 of every file. `latest.json` and `best.json` name the newest and the best one. A second
checkpoint of one step (an evaluation was still to be done at the first) is `step-00000100.1`.

What cannot be gone on from (damaged, or of another recipe or other data) is set aside under
another name, with a warning, and never deleted in silence.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from voxmill.errors import DataError, EngineMissing
from voxmill.training.durable import (
    HashingWriter,
    replace_json,
    sha256_of,
    sync_folder,
    write_json_synced,
    write_synced,
)

logger = logging.getLogger(__name__)

STATE = "state.pt"
MANIFEST = "manifest.json"
_NAME = re.compile(r"^step-(\d{8,})(?:\.(\d+))?$")
_TEMPORARY = ".writing-"
_SET_ASIDE = ".set-aside"


@dataclass(frozen=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint on disk."""

    step: int
    folder: Path
    bytes: int


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A checkpoint whose hashes were right, and its state, on the CPU."""

    step: int
    folder: Path
    state: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one training: the last `keep`, and the best."""

    def __init__(self, folder: Path, keep: int, *, identity: str = "") -> None:
        """Opens the folder and removes what a killed writer left half-written.

        Args:
            folder: Made if it is missing.
            keep: How many of the last checkpoints stay, besides the best.
            identity: Fingerprint of recipe and data; checkpoints with another one are not taken.
        """
        self.folder = folder
        self._keep = keep
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True)
        for rest in folder.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(rest)

    def save(self, step: int, state: Mapping[str, Any], *, best: bool = False) -> SavedCheckpoint:
        """Writes a checkpoint, makes it the latest (and the best), and removes those gone old.

        Raises:
            EngineMissing: The disk is full or failed; every earlier checkpoint is as it was.
        """
        name = self._free_name(step)
        temporary = self.folder / f"{_TEMPORARY}{name}"
        try:
            size = self._write(temporary, step, state)
            temporary.rename(self.folder / name)
            sync_folder(self.folder)
            self._point("latest", name, step)
            if best or self.best_step() == step:
                self._point("best", name, step)
        except OSError as error:
            raise self._cannot_write(step, error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._prune()
        return SavedCheckpoint(step=step, folder=self.folder / name, bytes=size)

    def newest_valid(self) -> LoadedCheckpoint | None:
        """The newest checkpoint whose hashes are right and whose recipe and data are these.

        Newer ones that cannot be taken are set aside, each with a warning that names the file,
        what was expected, what was found and what is gone on from instead.
        """
        problems: list[tuple[Path, str]] = []
        found = None
        for folder in reversed(self._folders()):
            problem = self._problem(folder)
            if problem is None:
                found = load_checkpoint(folder)
                break
            problems.append((folder, problem))
        instead = f"going on from {found.folder.name}" if found else "starting from the beginning"
        for folder, problem in problems:
            logger.warning("Checkpoint %s: %s; %s instead", folder.name, problem, instead)
            self._set_aside(folder)
        return found

    def best_step(self) -> int | None:
        """The step of the best checkpoint; None while there is none."""
        pointer = self._pointer("best")
        return None if pointer is None else int(pointer["step"])

    def forget_newer_best(self, step: int | None) -> bool:
        """Takes the best back to what a resumed training knows.

        Args:
            step: The best step by the resumed state; None where it knows of none.

        Returns:
            Whether that checkpoint is there and valid (or none was asked for). If not, `best` is
            nobody's until the next evaluation.
        """
        for folder in reversed(self._folders()):
            if _key(folder)[0] == step and self._problem(folder) is None:
                self._point("best", folder.name, step)
                return True
        (self.folder / "best.json").unlink(missing_ok=True)
        return step is None

    def export(self, which: str, target: Path) -> SavedCheckpoint:
        """Copies the `best` or `latest` checkpoint to a folder that does not exist yet.

        Raises:
            DataError: There is none, or it was damaged since it was written.
            EngineMissing: The disk is full or failed.
        """
        pointer = self._pointer(which)
        if pointer is None:
            raise DataError(f"No {which} checkpoint in {self.folder}: nothing was trained yet.")
        source = self.folder / pointer["folder"]
        problem = self._problem(source)
        if problem is not None:
            raise DataError(
                f"The {which} checkpoint {source}: {problem}. Move that folder away and start the "
                f"training again: it goes on from the newest valid checkpoint."
            )
        try:
            shutil.copytree(source, target)
        except (OSError, shutil.Error) as error:
            raise EngineMissing(
                f"The {which} checkpoint cannot be copied to {target}: {error}. The original in "
                f"{source} is intact: free some space and start again."
            ) from error
        size = sum(path.stat().st_size for path in target.iterdir())
        return SavedCheckpoint(step=int(pointer["step"]), folder=target, bytes=size)

    def _write(self, folder: Path, step: int, state: Mapping[str, Any]) -> int:
        folder.mkdir()
        written = write_synced(folder / STATE, lambda file: _save_state(state, file))
        manifest = {
            "files": {STATE: {"bytes": written.bytes, "sha256": written.sha256}},
            "identity": self._identity,
            "step": step,
        }
        write_json_synced(folder / MANIFEST, manifest)
        sync_folder(folder)
        return written.bytes

    def _folders(self) -> list[Path]:
        return sorted((p for p in self.folder.iterdir() if _NAME.match(p.name)), key=_key)

    def _free_name(self, step: int) -> str:
        taken = [_key(folder)[1] for folder in self._folders() if _key(folder)[0] == step]
        name = f"step-{step:08d}"
        return f"{name}.{max(taken) + 1}" if taken else name

    def _problem(self, folder: Path) -> str | None:
        problem = damage(folder)
        if problem is None:
            found = _manifest(folder)["identity"]
            if found != self._identity:
                return (
                    f"made from another recipe or other data (expected {self._identity[:12]}, "
                    f"found {found[:12]})"
                )
        return problem

    def _set_aside(self, folder: Path) -> None:
        target = folder.with_name(folder.name + _SET_ASIDE)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
        sync_folder(self.folder)

    def _point(self, which: str, name: str, step: int | None) -> None:
        replace_json(self.folder / f"{which}.json", {"folder": name, "step": step})

    def _pointer(self, which: str) -> dict[str, Any] | None:
        path = self.folder / f"{which}.json"
        try:
            pointer = json.loads(path.read_text(encoding="utf-8"))
            return {"folder": str(pointer["folder"]), "step": int(pointer["step"])}
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("Pointer %s cannot be read (%s) and is not followed", path, error)
            return None

    def _prune(self) -> None:
        """Removes what is neither among the last `keep` steps, nor best, nor the step's newest."""
        newest = {_key(folder)[0]: folder for folder in self._folders()}
        kept = {newest[step] for step in sorted(newest)[-self._keep :]}
        best = self._pointer("best")
        if best is not None:
            kept.add(self.folder / best["folder"])
        for folder in self._folders():
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _cannot_write(self, step: int, error: OSError) -> EngineMissing:
        folders = [folder.name for folder in self._folders()]
        free = shutil.disk_usage(self.folder).free
        intact = f"{folders[-1]} is intact" if folders else "there was none before it"
        return EngineMissing(
            f"Checkpoint of step {step} cannot be written to {self.folder}: {error.strerror} "
            f"({free / 1e6:.1f} MB free). {intact}. Free some space and start again: training "
            f"goes on from there."
        )


def load_checkpoint(folder: Path) -> LoadedCheckpoint:
    """Reads a checkpoint folder with the safe loader: tensors and plain values, never code.

    Raises:
        DataError: It is not whole, with the file, what was expected and what was found.
    """
    problem = damage(folder)
    if problem is not None:
        raise DataError(f"Checkpoint {folder}: {problem}. Bring it back or train again.")
    state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    return LoadedCheckpoint(step=int(_manifest(folder)["step"]), folder=folder, state=state)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, in words; None if it is as it was written."""
    try:
        manifest = _manifest(folder)
        files = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
        int(manifest["step"]), str(manifest["identity"])
    except FileNotFoundError:
        return f"{MANIFEST} is missing: it was never finished"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"{MANIFEST} cannot be read ({error})"
    if STATE not in files:
        return f"{MANIFEST} does not name {STATE}"
    for name, expected in files.items():
        found = sha256_of(folder / name) if (folder / name).is_file() else "no such file"
        if found != expected:
            return f"{name} is damaged: expected sha256 {expected}, found {found}"
    return None


def _save_state(state: Mapping[str, Any], file: HashingWriter) -> None:
    torch.save(dict(state), cast("BinaryIO", file))  # it only calls `write` and `flush`


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def _key(folder: Path) -> tuple[int, int]:
    number, _, revision = folder.name.removeprefix("step-").partition(".")
    return int(number), int(revision or 0)
