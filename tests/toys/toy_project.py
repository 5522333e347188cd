"""A project in a temporary folder with real git, DVC and GTO, and stages that take milliseconds."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import yaml

from voxmill.errors import FieldProblem, RecipeError
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
from voxmill.launchers.stage_command import stage_command
from voxmill.pipeline.dvcfile import narrow, read_graphs
from voxmill.pipeline.snapshot import Snapshot, recipe_snapshot
from voxmill.runs.execution import run_stage
from voxmill.runs.lister import ListingOrder
from voxmill.runs.opening import RunOptions, open_run
from voxmill.runs.project import Project
from voxmill.runs.run import Run

REPOSITORY = Path(__file__).resolve().parents[2]
TOY_STAGE = Path(__file__).with_name("toy_stage.py")
STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
RECIPE = """\
# What the toy is for.
title: A toy
family: ctc
language: en

source:
  kind: folder
  path: recordings  # three small files
base: {}

audit:
  max_seconds: 3.0  # seconds
verify: {}
prepare: {}
probe: {}
model:
  d_model: 8
train:
  epochs: 2  # twice through
package: {}
evaluate: {}
"""


@dataclass(frozen=True)
class ToyProject:
    """A project with the recipe `digits` and an environment of its own."""

    root: Path
    control: Path
    """Orders to the toy stages, see toy_stage.py."""
    environ: Mapping[str, str]

    @property
    def project(self) -> Project:
        return Project.find(self.root, self.environ)

    @property
    def launcher(self) -> ProcessLauncher:
        return ProcessLauncher(toy_command(self.control), emit=lambda _: None)

    def open(self, run_id: str | None = None, recipe: str = "digits", **options: object) -> Run:
        return open_run(self.project, recipe, RunOptions(run_id=run_id, **options), lister=list_toy)

    def run_all(self, run: Run, until: str = "evaluate") -> dict[str, str]:
        wanted = STAGES[: STAGES.index(until) + 1]
        return {stage: run_stage(run, stage, self.launcher) for stage in wanted}

    def order(self, name: str, value: object = "") -> Path:
        path = self.control / name
        path.write_text(str(value))
        return path

    def launches(self, stage: str) -> int:
        path = self.control / f"{stage}.launches"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        return git(folder or self.root, *arguments)


def toy_command(control: Path):
    def command(stage_run: StageRun) -> list[str]:
        real = stage_command(stage_run)
        orders = real[real.index("stage") + 1 :]
        return [sys.executable, str(TOY_STAGE), str(control), *orders]

    return command


def list_toy(order: ListingOrder) -> None:
    """Knows a few keys; lists the source with hashes."""
    sections = yaml.safe_load(order.recipe_file.read_text())
    known = {"max_seconds", "epochs", "d_model", "kind", "path"}
    known |= {"model", "init_from", "init_tokenizer"}
    unknown = [
        f"{section}.{key}"
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for key in keys
        if key not in known
    ]
    if unknown:
        problems = [FieldProblem(key, "an unknown key", "take it out") for key in unknown]
        raise RecipeError(order.recipe_file.stem, problems)
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(order.folders["source"].iterdir())
    }
    order.out.write_text(json.dumps({"kind": "folder", "files": files}, indent=1) + "\n")


def make_project(folder: Path, environ: Mapping[str, str] | None = None) -> ToyProject:
    """A committed project `folder/project`; `environ` sets VOXMILL_GIT and the like."""
    root, control = folder / "project", folder / "control"
    for path in (root / "recipes", root / "recordings", root / ".dvc", control):
        path.mkdir(parents=True)
    for number in range(3):
        (root / "recordings" / f"{number}.wav").write_bytes(bytes([number]) * 100)
    (root / "fewer").mkdir()
    (root / "fewer" / "0.wav").write_bytes(b"0")
    (root / "recipes" / "digits.yaml").write_text(RECIPE)
    (root / "recipes" / "words.yaml").write_text(RECIPE)
    (root / ".gitignore").write_text("/artifacts/\n/work/\n/.voxmill/\n/recordings/\n/fewer/\n")
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / "code.py").write_text("print('one')\n")
    (root / "versions.yaml").write_text(yaml.safe_dump({"digits": dict.fromkeys(STAGES, 1)}))
    shutil.copyfile(REPOSITORY / "dvc.yaml", root / "dvc.yaml")
    narrow(root / "dvc.yaml", "digits")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "Toy Maker")
    git(root, "config", "user.email", "toy@example.org")
    write_pipeline(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=Begin")
    return ToyProject(root, control, environ or {})


def write_pipeline(root: Path) -> None:
    facts = {"title": "A toy", "family": "ctc"}
    with chdir(root):
        recipes = {name: recipe_snapshot(graph, facts) for name, graph in read_graphs(root).items()}
    (root / "pipeline.json").write_text(Snapshot(recipes=recipes).to_json())


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """sha256 by relative path of every file below a folder."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def origin_has(toy: ToyProject, run: Run) -> bool:
    """Whether the origin's branch is where the run is."""
    head = git(run.folder, "rev-parse", "HEAD")
    return git(toy.root, "rev-parse", f"refs/heads/{run.branch}") == head


def main_memory(toy: ToyProject, name: str) -> list[str]:
    """Lines of a memory file in the main branch."""
    return git(toy.root, "show", f"main:memory/digits/{name}").splitlines()
