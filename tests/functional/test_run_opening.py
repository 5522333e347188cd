"""Opening runs with real git: recipe edits, overrides, uncommitted code, odd states."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toys.toy_project import ToyProject, git, make_project
from voxmill.errors import RecipeError, UsageError
from voxmill.runs.opening import RunOptions, open_run
from voxmill.runs.project import Project
from voxmill.runs.run import RunRecord, find_run


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def test_recipe_edits_travel_and_overrides_keep_comments(toy: ToyProject) -> None:
    """The run's branch holds the recipe as it was edited, with the overrides written in."""
    recipe = toy.root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("d_model: 8", "d_model: 16"))
    run = toy.open("one", overrides={"train.epochs": 7, "verify.max_seconds": 1.5})
    text = run.recipe_file.read_text()
    assert "d_model: 16" in text
    assert "  epochs: 7  # twice through" in text
    assert text.startswith("# What the toy is for.")
    record = RunRecord.read(run.folder)
    assert record.dirty == ("recipes/digits.yaml",)
    assert record.overrides == {"train.epochs": 7, "verify.max_seconds": 1.5}
    assert git(toy.root, "status", "--porcelain") == " M recipes/digits.yaml"


def test_an_unknown_override_opens_nothing(toy: ToyProject) -> None:
    """Every mistake is named, and no half run stays behind."""
    with pytest.raises(RecipeError) as mistake:
        toy.open("one", overrides={"train.bogus": 1, "audit.nonsense": 2})
    assert [problem.field for problem in mistake.value.problems] == [
        "audit.nonsense",
        "train.bogus",
    ]
    with pytest.raises(UsageError, match="not in"):
        find_run(toy.project, "one")
    assert "run/" not in git(toy.root, "branch", "--list")


def test_uncommitted_code_is_refused_or_taken_along(toy: ToyProject) -> None:
    """What the run computed with is in its first commit, or the run does not begin."""
    (toy.root / "code.py").write_text("print('two')\n")
    with pytest.raises(UsageError, match=r"(?s)code\.py.*--allow-dirty"):
        toy.open("one")
    run = toy.open("one", allow_dirty=True)
    assert git(run.folder, "show", "HEAD:code.py") == "print('two')"
    assert RunRecord.read(run.folder).dirty == ("code.py",)
    assert git(toy.root, "status", "--porcelain") == " M code.py"


def test_opening_again_resumes_and_other_overrides_are_refused(toy: ToyProject) -> None:
    """The same Airflow run always means the same run."""
    options = {"airflow_run_id": "manual__2026-11-21T03:00:00+00:00"}
    run = toy.open(**options, overrides={"train.epochs": 3})
    assert run.id == "manual-2026-11-21t03-00-00-00-00"
    assert toy.open(**options, overrides={"train.epochs": 3}) == run
    assert toy.open(run.id) == run
    with pytest.raises(UsageError, match="other overrides"):
        toy.open(run.id, overrides={"train.epochs": 4})


def test_bad_states_of_git_get_one_clear_message(tmp_path: Path) -> None:
    """Bare, no git, no commit, no branch to remember in: each says what to do."""
    toy = make_project(tmp_path)
    bare, empty, nothing = tmp_path / "bare.git", tmp_path / "empty", tmp_path / "nothing"
    git(tmp_path, "clone", "--quiet", "--bare", str(toy.root), str(bare))
    empty.mkdir()
    nothing.mkdir()
    git(empty, "init", "--quiet")
    (empty / "dvc.yaml").write_text("stages: {}\n")
    for start, words in (
        (bare, "is a bare git repository"),
        (nothing, "is not in a git checkout"),
        (empty, "has no commit yet"),
    ):
        with pytest.raises(UsageError, match=words):
            Project.find(start, {})
    git(toy.root, "checkout", "--quiet", "--detach")
    run = open_run(toy.project, "digits", RunOptions(run_id="one"), lister=_no_listing)
    assert RunRecord.read(run.folder).base_commit == git(toy.root, "rev-parse", "HEAD")
    git(toy.root, "branch", "--quiet", "--delete", "--force", "main")
    with pytest.raises(UsageError, match="memory has nowhere to go"):
        Project.find(toy.root, {})


def _no_listing(order: object) -> None:
    order.out.write_text("{}\n")  # type: ignore[attr-defined]


def test_runs_that_are_opened_at_the_same_moment_do_not_get_in_each_other_s_way(
    toy: ToyProject,
) -> None:
    """Each asks the main branch for memory while the others do, and while it moves on."""
    moving = threading.Event()

    def move() -> None:
        while not moving.is_set():
            toy.git("commit", "--quiet", "--allow-empty", "--message=Move on")

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for round_number in range(3):
            names = [f"run-{round_number}-{number}" for number in range(4)]
            with ThreadPoolExecutor(len(names)) as pool:
                runs = list(pool.map(lambda name: open_in_process(toy, name), names))
            assert runs == [0] * len(names)
    finally:
        moving.set()
        mover.join()


def open_in_process(toy: ToyProject, name: str) -> int:
    code = (
        "import sys; from pathlib import Path; from toys.toy_project import ToyProject; "
        "ToyProject(Path(sys.argv[1]), Path(sys.argv[2]), {}).open(sys.argv[3])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(toy.root), str(toy.control), name],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        check=False,
    ).returncode
