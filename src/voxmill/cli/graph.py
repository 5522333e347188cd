"""`voxmill graph`: writes versions.yaml and pipeline.json from code, recipes and dvc.yaml.

This is where the two wings meet: versions and forms come from the workshop, the graph from DVC.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from voxmill.recipe.recipe import Recipe

VERSIONS_FILE = "versions.yaml"
FAMILY_STAGES = frozenset({"prepare", "probe", "train", "package", "evaluate"})
"""Stages that run the family's code: its version is a parameter of theirs."""
MOST_DIFFERENCES = 40

_HEAD = """\
# Written by `voxmill graph`: the versions of each stage's and each family's code. They are DVC
# parameters in place of the code itself: a raised version makes a stage run anew, a comment or a
# moved function does not. Raise them in stages/catalogue.py and families/catalogue.py.
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(graph)


def graph(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 64 where a file is stale.")
    ] = False,
) -> None:
    """Writes versions.yaml and pipeline.json from dvc.yaml, the recipes and the code."""
    from voxmill.errors import UsageError

    root = Path.cwd()
    texts = generated(root)
    stale = {
        name: changes
        for name, text in texts.items()
        if (changes := _differences(root / name, text))
    }
    if not check:
        for name in stale:
            (root / name).write_text(texts[name], "utf-8")
            typer.echo(f"Written: {name}")
    elif stale:
        names = " and ".join(stale)
        told = "\n".join(line for changes in stale.values() for line in changes)
        raise UsageError(f"{names}: not fresh. Run `make graph` and commit the result.\n{told}")


def generated(root: Path) -> dict[str, str]:
    """What the generated files should hold, by name.

    Raises:
        UsageError: dvc.yaml or a recipe is wrong, or a recipe states too little for DVC.
    """
    from voxmill.pipeline.dvcfile import read_graphs
    from voxmill.pipeline.snapshot import SNAPSHOT_FILE, Snapshot, recipe_snapshot
    from voxmill.recipe.reading import read_recipe

    graphs = read_graphs(root)
    recipes = {name: read_recipe(_recipe_file(root, name)) for name in graphs}
    for name in recipes:
        _refuse_unstated(root, name)
    snapshot = Snapshot(
        recipes={
            name: recipe_snapshot(graphs[name], _facts(root, recipe))
            for name, recipe in recipes.items()
        }
    )
    return {VERSIONS_FILE: versions_text(recipes), SNAPSHOT_FILE: snapshot.to_json()}


def versions_text(recipes: Mapping[str, Recipe]) -> str:
    """versions.yaml: for each recipe and stage the version of the stage and of its family."""
    from voxmill.families.catalogue import FAMILIES
    from voxmill.stages.catalogue import STAGE_VERSIONS

    lines = [_HEAD.rstrip("\n")]
    for name, recipe in recipes.items():
        lines.append(f"{name}:")
        for stage, version in STAGE_VERSIONS.items():
            family = f", {recipe.family}: {FAMILIES[recipe.family].version}"
            lines.append(
                f"  {stage}: {{stage: {version}{family if stage in FAMILY_STAGES else ''}}}"
            )
    return "\n".join(lines) + "\n"


def _recipe_file(root: Path, name: str) -> Path:
    return root / "recipes" / f"{name}.yaml"


def _refuse_unstated(root: Path, recipe: str) -> None:
    """DVC runs no stage whose parameter is missing, not even where defaults would do."""
    from voxmill.errors import FieldProblem, RecipeError
    from voxmill.pipeline.dvcfile import missing_params

    file = f"recipes/{recipe}.yaml"
    problems = [
        FieldProblem(key, "nothing", f"state it, be it empty (`{key}: {{}}`): DVC needs it")
        for key in missing_params(root, recipe).get(file, ())
    ]
    if problems:
        raise RecipeError(file, problems)


def _facts(root: Path, recipe: Recipe) -> dict[str, Any]:
    from voxmill.recipe.form import form_schema

    return {
        "title": recipe.title,
        "family": recipe.family,
        "description": _description(_recipe_file(root, recipe.name)),
        "form": form_schema(recipe),
        "release": recipe.release.model_dump(mode="json"),
        "schedule": recipe.schedule.model_dump(mode="json"),
        "resources": recipe.resources.model_dump(mode="json", exclude_none=True),
    }


def _description(path: Path) -> str:
    """The comment that a recipe file opens with."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines)


def _differences(path: Path, text: str) -> list[str]:
    found = path.read_text("utf-8") if path.is_file() else ""
    if found == text:
        return []
    lines = list(
        difflib.unified_diff(
            found.splitlines(),
            text.splitlines(),
            f"{path.name} (found)",
            f"{path.name} (expected)",
            lineterm="",
            n=1,
        )
    )
    more = len(lines) - MOST_DIFFERENCES
    return [*lines[:MOST_DIFFERENCES], *([f"... and {more} lines more"] if more > 0 else [])]
