"""The checkpoint that training starts from: of a release or run, or of somebody else's program."""

from __future__ import annotations

from pathlib import Path

from voxmill.base_reference import FileReference, parse_origin
from voxmill.errors import DataError
from voxmill.recipe.base_config import BaseConfig
from voxmill.stages.ingestion.mirrored_files import MirroredFiles
from voxmill.stages.ingestion.pretrained_files import check_weights

CHECKPOINT = "checkpoint"
TOKENIZER = "tokenizer"
TOKENIZER_FILE = "tokenizer.json"
_SAFE = ".safetensors"


def mirror_starting_point(config: BaseConfig, given: Path, mirror: MirroredFiles) -> None:
    """Copies the checkpoint and its tokenizer into `init/`, without opening a pickle.

    Args:
        config: Its `init_from` and `init_tokenizer` say what is in the folder.
        given: The stage's input `init`: `checkpoint/` and `tokenizer/` of a release or run, or the
            foreign files under their own names.
        mirror: Takes the copies.

    Raises:
        DataError: The folder lacks the checkpoint, or it is damaged.
    """
    origin = parse_origin(str(config.init_from))
    if isinstance(origin, FileReference):
        _mirror_foreign(config, origin, given, mirror)
    else:
        _mirror_own(str(origin), given, mirror)


def _mirror_own(origin: str, given: Path, mirror: MirroredFiles) -> None:
    if not (given / CHECKPOINT).is_dir():
        raise DataError(
            f"Checkpoint of {origin}: expected a folder {CHECKPOINT}/ in {given}, found "
            f"{_listed(given)}. `voxmill run` brings it there from the DVC remote."
        )
    mirror.add_folder(given / CHECKPOINT, f"init/{CHECKPOINT}")
    if (given / TOKENIZER).is_dir():
        mirror.add_folder(given / TOKENIZER, f"init/{TOKENIZER}")
    _refuse_damage(origin, mirror.out / "init" / CHECKPOINT)


def _refuse_damage(origin: str, checkpoint: Path) -> None:
    from voxmill.training.checkpoint import damage  # with torch, which ingest needs for this only

    problem = damage(checkpoint)
    if problem is not None:
        raise DataError(
            f"Checkpoint of {origin}: {problem}. Start from another release, or train that one "
            "again."
        )


def _mirror_foreign(
    config: BaseConfig, origin: FileReference, given: Path, mirror: MirroredFiles
) -> None:
    safe = origin.path.suffix == _SAFE
    weights = _present(given, origin.path.name, field="base.init_from")
    copied = mirror.add(weights, f"init/foreign{_SAFE if safe else '.pt'}")
    if safe:
        check_weights(copied, what=f"Foreign checkpoint {origin}")
    if config.init_tokenizer is not None:
        name = Path(config.init_tokenizer).name
        tokenizer = _present(given, name, field="base.init_tokenizer")
        mirror.add(tokenizer, f"init/{TOKENIZER}/{TOKENIZER_FILE}")


def _present(given: Path, name: str, *, field: str) -> Path:
    if not (given / name).is_file():
        raise DataError(
            f"{field}: expected a file {name} in {given}, found {_listed(given)}. Correct the "
            "recipe, or put the file there."
        )
    return given / name


def _listed(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "nothing") + more
