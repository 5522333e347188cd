"""Everything that the section `base` names, mirrored into ingest's output."""

from __future__ import annotations

from pathlib import Path

from voxmill.base_reference import is_hub_id
from voxmill.corpus.manifest import write_json
from voxmill.errors import DataError
from voxmill.recipe.base_config import BaseConfig
from voxmill.stages.ingestion.hub import Hub
from voxmill.stages.ingestion.mirrored_files import MirroredFiles
from voxmill.stages.ingestion.pretrained_files import check_weights, chosen_files
from voxmill.stages.ingestion.starting_point import mirror_starting_point
from voxmill.stages.stage import StageContext
from voxmill.stages.stopping import leave_if_asked

BASE = "base"
INIT = "init"
RECORD = "base.json"


def mirror_base(context: StageContext, hub: Hub, *, stage: str) -> dict[str, int]:
    """Fills `base/`, `init/` and `base.json`, as far as the recipe asks for them.

    Returns:
        Figures for the report; none where the recipe begins with nothing.

    Raises:
        UsageError: A folder was not given, the hub has no such model, or refuses it.
        DataError: What is there is no base model, no checkpoint, or damaged.
        VoxmillError: The hub does not answer.
    """
    config = context.recipe.base
    mirror = MirroredFiles(context.out, lambda: leave_if_asked(context, stage=stage))
    if config.model is not None:
        _mirror_model(config, context, hub, mirror)
    if config.init_from is not None:
        mirror_starting_point(config, context.input(INIT), mirror)
    if not mirror.facts:
        return {}
    _write_record(config, mirror)
    return {
        "base_files": len(mirror.facts),
        "base_bytes": sum(one.bytes for one in mirror.facts.values()),
    }


def _mirror_model(
    config: BaseConfig, context: StageContext, hub: Hub, mirror: MirroredFiles
) -> None:
    what = f"Base model {config.model}"
    if is_hub_id(str(config.model)):
        folder, names = hub.fetch(str(config.model), str(config.revision))
    else:
        folder = context.input(BASE)
        names = chosen_files(_files(folder, what=what), folder, what=what)
    for name in names:
        copied = mirror.add(folder / name, f"{BASE}/{name}")
        if name.endswith(".safetensors"):
            check_weights(copied, what=what)


def _files(folder: Path, *, what: str) -> list[str]:
    paths = list(folder.iterdir())
    lost = sorted(path.name for path in paths if path.is_symlink() and not path.exists())
    if lost:
        raise DataError(
            f"{what}: {', '.join(lost)}: links to files that are not there, or that lie outside "
            f"the folder, which is all that a stage in a container sees (the hub's own cache is "
            f"such a folder). Name a copy in base.model: `cp -rL FOLDER COPY`; or the hub id."
        )
    return [path.name for path in paths if path.is_file()]


def _write_record(config: BaseConfig, mirror: MirroredFiles) -> None:
    facts = {path: one.model_dump() for path, one in mirror.facts.items()}
    record = {
        "model": config.model,
        "revision": config.revision,
        "init_from": config.init_from,
        "files": facts,
    }
    write_json(mirror.out / RECORD, record)
