"""`voxmill kubernetes …`: what a cluster is told of a task, for people who want to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_kubernetes = typer.Typer(help="Pods of tasks, for Airflow's KubernetesExecutor.")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(_kubernetes, name="kubernetes")
    _kubernetes.callback()(_group)
    _kubernetes.command("pod-template")(pod_template)


def _group() -> None:
    """Pods of tasks, for Airflow's KubernetesExecutor."""


def pod_template(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe.")] = None,
    stage: Annotated[str | None, typer.Argument(help="Name of a stage.")] = None,
) -> None:
    """Prints a task's pod as YAML: a stage's, or without arguments that of a task without stage.

    It is what dvc.yaml's `meta`, the recipe's `resources` and kubernetes.yaml make of it. The DAG
    gives Airflow the same as `pod_override`.
    """
    import json

    import yaml

    from voxmill.errors import UsageError
    from voxmill.orchestration.needs import needs_of
    from voxmill.orchestration.pod_settings import read_pod_settings
    from voxmill.orchestration.pods import pod_of
    from voxmill.pipeline.recipe_file import read_recipe_file
    from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot

    if (recipe is None) != (stage is None):
        raise UsageError("Name a recipe and one of its stages, or neither of them.")
    root = Path.cwd()
    needs = None
    if recipe is not None and stage is not None:
        node = Snapshot.read(root / SNAPSHOT_FILE).stage(recipe, stage)
        stated = read_recipe_file(root / "recipes" / f"{recipe}.yaml").get("resources") or {}
        needs = needs_of(node.meta, stated)
    pod = pod_of(needs, read_pod_settings(root))
    plain = json.loads(json.dumps(pod))  # what is shared in Python would become YAML's anchors
    typer.echo(yaml.safe_dump(plain, sort_keys=False), nl=False)
