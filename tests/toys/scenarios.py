"""Toy recipes side by side in one project, each with orders of its own to its stages.

toys = scenarios(folder, ("rejected", "waived"))
toys.order("waived", "prepare.failed")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import yaml

from toys.airflow_server import toy_project_with_dags
from toys.toy_project import STAGES, ToyProject, list_toy, toy_command
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
from voxmill.orchestration.dag import build_dags
from voxmill.orchestration.local_worker import LocalWorker
from voxmill.pipeline.dvcfile import read_graphs
from voxmill.pipeline.snapshot import read_snapshot, recipe_snapshot

DAG_FILE = """# Airflow DAGs of toy recipes, each with its own orders.
from pathlib import Path

from toys.scenarios import dags

globals().update(dags(Path(__file__).parents[1]))
"""


@dataclass(frozen=True)
class Scenarios:
    """A project whose every recipe plays one scenario."""

    toy: ToyProject

    @property
    def root(self) -> Path:
        """The project's checkout."""
        return self.toy.root

    def order(self, recipe: str, name: str, value: object = "") -> Path:
        """An order to a stage of one recipe, as toy_stage.py knows them; unlink it to end it."""
        folder = self.toy.control / recipe
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(str(value))
        return path

    def launches(self, recipe: str, stage: str) -> int:
        """How often a stage of a recipe was started, in all its runs."""
        path = self.toy.control / recipe / f"{stage}.launches"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def tags(self) -> set[str]:
        """Every tag of the project."""
        return set(self.toy.git("tag", "--list").split())

    def remembered(self, recipe: str, name: str) -> list[dict]:
        """Lines of a memory file of the main branch; none where there is no file."""
        path = f"memory/{recipe}/{name}"
        listed = self.toy.git("ls-tree", "-r", "--name-only", "main", path)
        text = self.toy.git("show", f"main:{path}") if listed else ""
        return [json.loads(line) for line in text.splitlines()]


def scenarios(folder: Path, recipes: Sequence[str]) -> Scenarios:
    """A committed project with these recipes, which ask a person before they release."""
    toy = toy_project_with_dags(folder, auto_release=False)
    (toy.root / "dags" / "played.py").write_text(DAG_FILE)
    recipe_file = toy.root / "recipes" / "digits.yaml"
    for name in recipes:
        (toy.root / "recipes" / f"{name}.yaml").write_text(recipe_file.read_text())
        (toy.control / name).mkdir()
    versions = {name: dict.fromkeys(STAGES, 1) for name in ("digits", *recipes)}
    (toy.root / "versions.yaml").write_text(yaml.safe_dump(versions))
    _list_recipes(toy.root / "dvc.yaml", recipes)
    entry = json.loads((toy.root / "pipeline.json").read_text())["recipes"]["digits"]
    _write_pipeline(toy.root, {key: entry[key] for key in ("form", "release")})
    toy.git("add", "--all")
    toy.git("commit", "--quiet", "--message=Play scenarios")
    return Scenarios(toy)


def dags(root: Path) -> dict:
    """DAGs by id, for the DAG file of such a project."""

    def command(stage_run: StageRun) -> list[str]:
        return toy_command(root.parent / "control" / stage_run.recipe)(stage_run)

    def worker(project_root: Path) -> LocalWorker:
        return LocalWorker(project_root, launcher=ProcessLauncher(command), lister=list_toy)

    return build_dags(read_snapshot(root / "pipeline.json"), root, worker=worker)


def _list_recipes(dvc_file: Path, recipes: Sequence[str]) -> None:
    document = yaml.safe_load(dvc_file.read_text())
    for stage in document["stages"].values():
        stage["matrix"]["recipe"] = list(recipes)
    document["metrics"] = [f"artifacts/{name}/evaluate/metrics.json" for name in recipes]
    dvc_file.write_text(yaml.safe_dump(document, sort_keys=False))


def _write_pipeline(root: Path, more: dict) -> None:
    with chdir(root):
        graphs = read_graphs(root)
    recipes = {}
    for name, graph in graphs.items():
        found = recipe_snapshot(graph, {"title": f"Toy: {name}", "family": "ctc"})
        recipes[name] = json.loads(found.model_dump_json(by_alias=True)) | more
    (root / "pipeline.json").write_text(json.dumps({"format": 1, "recipes": recipes}, indent=1))
