"""pipeline.json: dvc.yaml as DVC resolves it and each recipe's form, for those without DVC.

Airflow reads it whenever it reads its DAG files, `voxmill launch` at each start: nothing here may
import DVC or torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from voxmill.errors import UsageError
from voxmill.pipeline.graph import Graph, StageNode

SNAPSHOT_FILE = "pipeline.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )


class StageSnapshot(_Frozen):
    """One stage, as in `StageNode`."""

    address: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    upstream: tuple[str, ...]
    inputs: dict[str, str]
    meta: dict[str, JsonValue]


class FormField(_Frozen):
    """One field of the form that starts a run."""

    key: str
    """`section.key`, as `--set` takes it."""
    section: str
    schema_: dict[str, JsonValue] = Field(alias="schema")
    """JSON schema with the recipe's own value as `default`."""


class RecipeSnapshot(_Frozen):
    """One recipe: what it is and what its stages are."""

    title: str
    family: str
    description: str = ""
    stages: dict[str, StageSnapshot]
    """In the order in which they can run."""
    form: tuple[FormField, ...] = ()
    release: dict[str, JsonValue] = Field(default_factory=dict)
    """The recipe's section of that name: who may make a version."""
    schedule: dict[str, JsonValue] = Field(default_factory=dict)
    """The recipe's section of that name: when Airflow starts a run by itself."""
    resources: dict[str, JsonValue] = Field(default_factory=dict)


class Snapshot(_Frozen):
    """All that pipeline.json says."""

    format: Literal[1] = 1
    recipes: dict[str, RecipeSnapshot]

    @classmethod
    def read(cls, path: Path) -> Snapshot:
        """Reads a pipeline.json.

        Raises:
            UsageError: The file is not there, is of another format or was edited by hand.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise UsageError(f"No {path}. Write it with `voxmill graph`.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{path} is not what this voxmill writes: {where or 'the file'}: {first['msg']}. "
                "Write it anew with `voxmill graph`."
            ) from error

    def to_json(self) -> str:
        """The file's content: the same for the same graph, one value a line."""
        values = self.model_dump(mode="json", by_alias=True)
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def stage(self, recipe: str, stage: str) -> StageSnapshot:
        """One stage of one recipe.

        Raises:
            UsageError: There is no such recipe or stage.
        """
        entry = self.recipes.get(recipe)
        if entry is None:
            raise UsageError(_unknown("recipe", recipe, self.recipes))
        if stage not in entry.stages:
            raise UsageError(_unknown("stage", stage, entry.stages))
        return entry.stages[stage]


def read_snapshot(path: Path) -> dict[str, Any]:
    """What a pipeline.json says, checked, as plain JSON values.

    Raises:
        UsageError: As `Snapshot.read`.
    """
    return Snapshot.read(path).model_dump(mode="json", by_alias=True)


def stage_snapshot(node: StageNode) -> StageSnapshot:
    """A stage of the graph in the form of the file."""
    return StageSnapshot(
        address=node.address,
        desc=node.desc,
        cmd=node.cmd,
        deps=node.deps,
        outs=node.outs,
        upstream=node.upstream,
        inputs=dict(node.inputs),
        meta=dict(node.meta),
    )


def recipe_snapshot(graph: Graph, facts: Mapping[str, Any]) -> RecipeSnapshot:
    """A recipe's graph together with what the recipe file says about itself.

    Args:
        graph: Its stages.
        facts: `title`, `family`, and as far as there are `description`, `form`, `release`,
            `schedule` and `resources`, as in `RecipeSnapshot`.
    """
    stages = {node.name: stage_snapshot(node) for node in graph.nodes}
    return RecipeSnapshot.model_validate({**facts, "stages": stages})


def _unknown(kind: str, name: str, known: Mapping[str, object]) -> str:
    found = ", ".join(known) or "none"
    return f"No {kind} {name!r} in {SNAPSHOT_FILE}; it has: {found}. See dvc.yaml, `voxmill graph`."
