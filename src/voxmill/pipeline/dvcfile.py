"""dvc.yaml as DVC resolves it, and the few things that voxmill changes or checks in it.

DVC itself is imported inside the functions only: it takes half a second, and Airflow's DAG files
and `voxmill launch` live without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from voxmill.errors import UsageError
from voxmill.pipeline.graph import Graph, StageNode

DVC_FILE = "dvc.yaml"
MEMORY = "memory"


def read_graphs(root: Path) -> dict[str, Graph]:
    """The graph of each recipe of a checkout's dvc.yaml, by recipe name.

    Raises:
        UsageError: dvc.yaml is not there or DVC cannot read it, or a stage stands outside the
            matrix of recipes.
    """
    with _stages(root) as stages:
        recipes = {_recipe_of(stage): None for stage in stages}
        return {recipe: _graph(recipe, stages) for recipe in recipes}


def missing_params(root: Path, recipe: str) -> dict[str, tuple[str, ...]]:
    """Parameters of the recipe's stages that their files do not state, by file.

    DVC runs and commits no stage with a missing parameter, not even where the section would only
    hold defaults: an empty section (`verify: {}`) is enough.

    Raises:
        UsageError: dvc.yaml or a parameter file cannot be read.
    """
    missing: dict[str, dict[str, None]] = {}
    with _stages(root) as stages:
        for stage in stages:
            if _recipe_of(stage) == recipe:
                for dep in (dep for dep in stage.deps if hasattr(dep, "params")):
                    gaps = dict.fromkeys(key for key in dep.params if key not in dep.read_params())
                    missing.setdefault(dep.def_path, {}).update(gaps)
    return {file: tuple(keys) for file, keys in missing.items() if keys}


def narrow(path: Path, recipe: str) -> None:
    """Makes a dvc.yaml list one recipe only; comments and order stay.

    A bare `dvc pull` fails for as long as a single stage has nothing in dvc.lock, so the branch of
    a run names no recipe but its own.

    Args:
        path: The dvc.yaml to rewrite.
        recipe: The recipe that stays.

    Raises:
        UsageError: No stage of the file has this recipe in its matrix.
    """
    yaml = _round_trip()
    document = yaml.load(path)
    stages = document.get("stages") or {}
    if not any(recipe in _listed(stage) for stage in stages.values()):
        raise _unlisted(path, recipe, stages)
    for stage in stages.values():
        _keep_only(stage["matrix"]["recipe"], lambda name: name == recipe)
    metrics = document.get("metrics") or []
    _keep_only(metrics, lambda file: file.startswith(f"artifacts/{recipe}/"))
    if not metrics:
        # ruamel writes an empty list that had comments as YAML that nobody can read.
        document.pop("metrics", None)
    yaml.dump(document, path)


def widen(path: Path, recipe: str, like: str) -> None:
    """Lists one recipe more wherever another one stands; comments and order stay.

    Args:
        path: The dvc.yaml to rewrite.
        recipe: The new one.
        like: The one that it stands beside.

    Raises:
        UsageError: There is no such file, or no stage of it has that one in its matrix; the file
            is as it was.
    """
    if not path.is_file():
        raise _no_dvc_file(path.parent)
    yaml = _round_trip()
    document = yaml.load(path)
    stages = document.get("stages") or {}
    beside = [stage for stage in stages.values() if like in _listed(stage)]
    if not beside:
        raise _unlisted(path, like, stages)
    for stage in beside:
        _beside(stage["matrix"]["recipe"], like, recipe)
    ours, theirs = f"artifacts/{recipe}/", f"artifacts/{like}/"
    metrics = document.get("metrics") or []
    for file in [file for file in metrics if file.startswith(theirs)]:
        _beside(metrics, file, file.replace(theirs, ours, 1))
    yaml.dump(document, path)


@contextmanager
def _stages(root: Path) -> Iterator[list[Any]]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not (root / DVC_FILE).is_file():
        raise _no_dvc_file(root)
    try:
        with Repo(str(root)) as repo:
            repo.index.check_graph()
            here = str((root / DVC_FILE).resolve())
            yield [stage for stage in repo.index.stages if str(Path(stage.path).resolve()) == here]
    except DvcException as error:
        raise UsageError(f"DVC cannot read {root / DVC_FILE}: {error}") from error


def _recipe_of(stage: Any) -> str:
    # `name` and not `addressing`: the latter changes with the current folder.
    name, _, recipe = str(stage.name).partition("@")
    if not recipe:
        raise UsageError(
            f"Stage {name!r} of {DVC_FILE} stands outside the matrix of recipes. "
            "Give it `matrix: recipe: [...]` like the others."
        )
    return recipe


def _graph(recipe: str, stages: list[Any]) -> Graph:
    mine = [stage for stage in stages if _recipe_of(stage) == recipe]
    makers = {out.def_path: _name(stage) for stage in mine for out in stage.outs}
    return Graph(recipe, [_node(recipe, stage, makers) for stage in mine])


def _node(recipe: str, stage: Any, makers: Mapping[str, str]) -> StageNode:
    deps = tuple(dep.def_path for dep in stage.deps if not hasattr(dep, "params"))
    inputs = {makers[dep]: dep for dep in deps if dep in makers}
    memory = f"{MEMORY}/{recipe}"
    if any(dep.startswith(f"{memory}/") for dep in deps):
        inputs["memory"] = memory
    meta: Mapping[str, JsonValue] = stage.meta or {}
    return StageNode(
        name=_name(stage),
        address=stage.name,
        desc=stage.desc or "",
        cmd=stage.cmd,
        deps=deps,
        outs=tuple(out.def_path for out in stage.outs),
        upstream=tuple(makers[dep] for dep in deps if dep in makers),
        inputs=inputs,
        meta=dict(meta),
    )


def _name(stage: Any) -> str:
    return str(stage.name).partition("@")[0]


def _round_trip() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000  # a folded line would be a change that nobody made
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _no_dvc_file(root: Path) -> UsageError:
    return UsageError(f"No {DVC_FILE} in {root}. Start from the root of a voxmill checkout.")


def _unlisted(path: Path, recipe: str, stages: Mapping[str, Any]) -> UsageError:
    listed = sorted({name for stage in stages.values() for name in _listed(stage)})
    return UsageError(
        f"{path} has no recipe {recipe!r}; it lists: {', '.join(listed) or 'none'}. "
        "Add it to the matrix of each stage (docs/adding.md), as `voxmill recipe new` does."
    )


def _listed(stage: Mapping[str, Any]) -> list[str]:
    return list((stage.get("matrix") or {}).get("recipe") or [])


def _keep_only(names: list[str], wanted: Any) -> None:
    for index in reversed(range(len(names))):
        if not wanted(names[index]):
            del names[index]


def _beside(names: list[str], known: str, new: str) -> None:
    """Inserts after, but before where the known one is last: an empty line may hang on that."""
    place = names.index(known)
    names.insert(place if place + 1 == len(names) else place + 1, new)
