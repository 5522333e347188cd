"""The real dvc.yaml under the real DVC, with toy stages behind the real launch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
from voxmill.launchers.stage_launch import launch_stage
from voxmill.pipeline.dvcfile import missing_params, narrow
from voxmill.pipeline.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[2]
STAGES = ["ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate"]
TOY_STAGE = """
import json, sys
from pathlib import Path
stage, recipe, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with Path(sys.argv[4]).open("a") as file: file.write(stage + "\\n")
(out / "made.txt").write_text(Path(sys.argv[5]).read_text())
if stage == "evaluate": (out / "metrics.json").write_text('{"wer": 0.04}')
if stage == "prepare":
    (out / "memory").mkdir()
    (out / "memory" / "splits.jsonl").write_text('{"id": "a", "split": "train"}\\n')
report = {"stage": stage, "recipe": recipe, "verdict": "passed"}
(out / "report.json").write_text(json.dumps(report))
"""
LAUNCH = """#!{python}
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from functional.test_dvc_pipeline import toy_launcher
from voxmill.launchers.stage_launch import launch_stage
command, stage, recipe = sys.argv[1:]
assert command == "launch"
sys.exit(launch_stage(Path.cwd(), recipe, stage, toy_launcher(Path.cwd())).exit_code)
"""


def toy_launcher(checkout: Path) -> ProcessLauncher:
    """Every stage notes that it ran and copies the recipe; the rest is real."""

    def command(run: StageRun) -> list[str]:
        places = [run.out, checkout / "executed.txt", run.recipe_file]
        return [sys.executable, "-c", TOY_STAGE, run.stage, run.recipe, *map(str, places)]

    return ProcessLauncher(command, emit=lambda line: None)


def executed(checkout: Path) -> list[str]:
    """Stages that ran since the last call."""
    path = checkout / "executed.txt"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


Dvc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A `voxmill` on PATH whose stages are toys; DVC keeps nothing outside."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "voxmill"
    script.write_text(LAUNCH.format(python=sys.executable, tests=str(ROOT / "tests")))
    script.chmod(0o755)
    who = {
        f"GIT_{role}_{part}": "t@t"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    return (
        os.environ
        | who
        | {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "config"),
            "DVC_NO_ANALYTICS": "1",
        }
    )


@pytest.fixture(scope="module")
def dvc(environment: dict[str, str]) -> Dvc:
    def call(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def git(checkout: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "-C", str(checkout), *who, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, dvc: Dvc) -> Path:
    """A checkout of the project's own pipeline files after one `dvc repro`."""
    checkout = tmp_path_factory.mktemp("project")
    for name in ("dvc.yaml", "versions.yaml", "pipeline.json", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, checkout / name)
    (checkout / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, checkout / ".dvc" / name)
    (checkout / "recipes").mkdir()
    set_in_recipe(checkout, yaml.safe_load((ROOT / "recipes" / "digits.yaml").read_text("utf-8")))
    memory = checkout / "memory" / "digits"
    memory.mkdir(parents=True)
    (memory / "source.json").write_text("{}\n")
    for name in ("tombstones", "splits", "verdicts"):
        (memory / f"{name}.jsonl").touch()
    git(checkout, "init", "-q")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "start")
    narrow(checkout / "dvc.yaml", "digits")
    done = dvc(checkout, "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    git(checkout, "add", "-A", ":!executed.txt")
    git(checkout, "commit", "-qm", "reproduced")
    return checkout


@pytest.fixture
def checkout(reproduced: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    shutil.copytree(reproduced, copy, symlinks=True)
    executed(copy)
    return copy


def set_in_recipe(checkout: Path, changes: dict[str, object]) -> None:
    path = checkout / "recipes" / "digits.yaml"
    values = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}
    for section, value in changes.items():
        old = values.get(section)
        values[section] = {**old, **value} if isinstance(old, dict) else value  # type: ignore[dict-item]
    path.write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")


def changed(checkout: Path) -> set[str]:
    """Stages that `dvc status` calls changed by themselves, not only through others."""
    with Repo(str(checkout)) as repo:
        return {address.rpartition(":")[2].partition("@")[0] for address in repo.status()}


def test_one_repro_by_hand_runs_every_stage_once_in_order(reproduced: Path) -> None:
    """`dvc repro` in a checkout needs no Airflow; what a stage remembers is part of the result."""
    names = (reproduced / "executed.txt").read_text().split()
    stages = Snapshot.read(ROOT / "pipeline.json").recipes["digits"].stages
    assert sorted(names) == sorted(stages) == sorted(STAGES)
    for name, stage in stages.items():
        assert all(names.index(before) < names.index(name) for before in stage.upstream)
    assert (reproduced / "memory" / "digits" / "splits.jsonl").read_text().count("\n") == 1
    assert changed(reproduced) == set()


def test_nothing_is_run_twice(checkout: Path, dvc: Dvc) -> None:
    """An unchanged second run executes no stage."""
    again = dvc(checkout, "repro")
    assert again.returncode == 0, again.stderr
    assert executed(checkout) == []


def test_the_released_figures_are_a_dvc_metric(checkout: Path, dvc: Dvc) -> None:
    """The top-level list is the one place where DVC takes a metric inside a folder out."""
    shown = json.loads(dvc(checkout, "metrics", "show", "--json").stdout)
    assert shown[""]["data"]["artifacts/digits/evaluate/metrics.json"]["data"] == {"wer": 0.04}


@pytest.mark.parametrize(
    ("section", "stages"),
    [
        ("source", {"ingest", "package"}),
        ("audit", {"audit"}),
        ("verify", {"verify"}),
        ("prepare", {"prepare"}),
        ("probe", {"probe"}),
        ("model", {"prepare", "probe", "train", "package", "evaluate"}),
        ("train", {"train"}),
        ("package", {"package"}),
        ("evaluate", {"evaluate"}),
        ("schedule", set()),
        ("resources", set()),
    ],
)
def test_a_changed_section_concerns_the_stages_that_read_it(
    checkout: Path, section: str, stages: set[str]
) -> None:
    """Too few would keep stale results, too many would train for nothing."""
    set_in_recipe(checkout, {section: {"changed": 1}})
    assert changed(checkout) == stages


def test_a_raised_version_concerns_its_stage(checkout: Path) -> None:
    """Versions stand for the code."""
    path = checkout / "versions.yaml"
    path.write_text(path.read_text().replace("audit: {stage: 1}", "audit: {stage: 2}"))
    assert changed(checkout) == {"audit"}


def test_what_the_office_launches_and_commits_comes_back_from_the_run_cache(
    checkout: Path, dvc: Dvc
) -> None:
    """status, launch, `dvc commit -f`: no exit code is swallowed and nothing is made twice."""
    set_in_recipe(checkout, {"evaluate": {"decoder": "beam"}})
    assert changed(checkout) == {"evaluate"}
    assert launch_stage(checkout, "digits", "evaluate", toy_launcher(checkout)).exit_code == 0
    assert dvc(checkout, "commit", "-f", "evaluate@digits").returncode == 0
    assert changed(checkout) == set()
    assert executed(checkout) == ["evaluate"]
    beam = (checkout / "artifacts" / "digits" / "evaluate" / "made.txt").read_text()
    for decoder in ("greedy", "beam"):
        set_in_recipe(checkout, {"evaluate": {"decoder": decoder}})
        restored = dvc(checkout, "repro", "--single-item", "evaluate@digits")
        assert "is cached - skipping run" in restored.stdout, restored.stdout + restored.stderr
    assert executed(checkout) == []
    assert (checkout / "artifacts" / "digits" / "evaluate" / "made.txt").read_text() == beam


def test_a_failing_stage_commits_nothing_and_keeps_its_code(checkout: Path) -> None:
    """The code is the stage's own, where `dvc repro` would say 255."""
    set_in_recipe(checkout, {"train": {"epochs": 99}})
    failing = ProcessLauncher(lambda run: [sys.executable, "-c", "raise SystemExit(70)"])
    assert launch_stage(checkout, "digits", "train", failing).exit_code == 70
    assert changed(checkout) == {"train"}
    assert (checkout / "artifacts" / "digits" / "train" / "report.json").exists()


def test_a_narrowed_checkout_is_pulled_whole_with_exit_code_0(
    checkout: Path, dvc: Dvc, tmp_path: Path
) -> None:
    """A recipe that never ran makes a bare `dvc pull` fail; a run's branch lists none such."""
    dvcfile = checkout / "dvc.yaml"
    dvcfile.write_text(
        dvcfile.read_text().replace("        - digits\n", "        - digits\n        - other\n")
    )
    dvc(checkout, "remote", "add", "-d", "store", str(tmp_path / "store"))
    assert dvc(checkout, "push").returncode == 0
    git(checkout, "commit", "-qam", "two recipes")
    clone = tmp_path / "clone"
    git(checkout, "clone", "-q", str(checkout), str(clone))
    assert dvc(clone, "pull").returncode == 1
    narrow(clone / "dvc.yaml", "digits")
    pulled = dvc(clone, "pull")
    assert pulled.returncode == 0, pulled.stderr
    for stage in STAGES:
        made = Path("artifacts", "digits", stage, "made.txt")
        assert (clone / made).read_bytes() == (checkout / made).read_bytes()
    assert changed(clone) == set()


def test_the_project_s_recipes_state_everything_that_dvc_asks_for() -> None:
    """A missing section would stop a run in its middle."""
    recipes = json.loads((ROOT / "pipeline.json").read_text("utf-8"))["recipes"]
    assert not any(missing_params(ROOT, recipe) for recipe in recipes)


def test_no_output_is_ever_a_symlink_into_the_cache(checkout: Path) -> None:
    """A symlink would break in a container and in a clone elsewhere."""
    files = [path for path in (checkout / "artifacts").rglob("*") if not path.is_dir()]
    assert len(files) > len(STAGES)
    assert not [path for path in files if path.is_symlink()]
