"""What training begins with, through real git and real DVC, to ingest's inputs in a process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from toys.toy_project import (
    RECIPE,
    STAGES,
    ToyProject,
    git,
    hashes,
    make_project,
    toy_command,
    write_pipeline,
)
from voxmill.errors import DataError, UsageError
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
from voxmill.launchers.stage_launch import plan_stage
from voxmill.runs.execution import forget_storage, run_stage
from voxmill.runs.release import release
from voxmill.runs.run import Run
from voxmill.runs.starting_point import bring_starting_point

TOY_COMMAND = Path(__file__).parents[1] / "toys" / "toy_command.py"
SPY = """
import json, sys
from pathlib import Path
seen, arguments = Path(sys.argv[1]), sys.argv[2:]
given = dict(one.split("=", 1) for n, one in enumerate(arguments) if arguments[n - 1] == "--in")
files = {
    name: sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())
    for name, folder in given.items()
}
seen.write_text(json.dumps(files))
"""


def with_words(toy: ToyProject) -> ToyProject:
    """The same project with a second recipe, `words`, in its graph."""
    root = toy.root
    text = (root / "dvc.yaml").read_text()
    text = text.replace("        - digits\n", "        - digits\n        - words\n")
    metrics = "  - artifacts/digits/evaluate/metrics.json"
    text = text.replace(metrics, f"{metrics}\n  - artifacts/words/evaluate/metrics.json")
    (root / "dvc.yaml").write_text(text)
    versions = {recipe: dict.fromkeys(STAGES, 1) for recipe in ("digits", "words")}
    (root / "versions.yaml").write_text(yaml.safe_dump(versions))
    for recipe in ("digits", "words"):
        (root / "memory" / recipe).mkdir(parents=True, exist_ok=True)
    write_pipeline(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=Say words too")
    return toy


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """`digits` has a run `one`, released as v0.1.0; tests do not change it."""
    toy = with_words(make_project(tmp_path_factory.mktemp("released")))
    run = toy.open("one")
    toy.run_all(run)
    release(toy.project, run)
    return toy


def start_from(toy: ToyProject, init_from: str, run_id: str, **more: str) -> Run:
    """A run of `words` that begins with that checkpoint."""
    options = {f"base.{key}": value for key, value in {"init_from": init_from, **more}.items()}
    return toy.open(run_id, recipe="words", overrides=options)


def spied(toy: ToyProject, run: Run) -> dict[str, list[str]]:
    """Files of each input that ingest was started with, as its process saw them."""
    seen = toy.control / f"{run.name}.seen"

    def command(stage_run: StageRun) -> list[str]:
        real = toy_command(toy.control)(stage_run)
        spy = [sys.executable, "-c", SPY, str(seen), *real]
        quoted = " ".join(f"'{part}'" for part in spy)
        return ["sh", "-c", f"{quoted} && exec {' '.join(repr(part) for part in real)}"]

    run_stage(run, "ingest", ProcessLauncher(command, emit=lambda _: None), force=True)
    files: dict[str, list[str]] = json.loads(seen.read_text())
    return files


WANTED = ["checkpoint/manifest.json", "checkpoint/state.pt", "tokenizer/tokenizer.json"]


@pytest.mark.parametrize("origin", ["digits@v0.1.0", "run:digits/one"])
def test_ingest_is_given_the_checkpoint_of_another_recipe(
    released: ToyProject, origin: str
) -> None:
    """Of a release or of a run: its best checkpoint and its tokenizer, byte for byte."""
    run = start_from(released, origin, "from-" + origin.partition(":")[0].partition("@")[0])
    assert spied(released, run)["init"] == WANTED
    given = plan_stage(run.folder, "words", "ingest").inputs["init"]
    theirs = released.project.runs / "digits" / "one" / "artifacts" / "digits"
    assert hashes(given / "checkpoint") == hashes(theirs / "train" / "best")
    assert hashes(given / "tokenizer") == hashes(theirs / "prepare" / "tokenizer")
    assert not list(given.parent.glob(".bringing-*"))


def test_a_recipe_that_begins_with_nothing_is_given_nothing(released: ToyProject) -> None:
    """Neither `base` nor `init` is among ingest's inputs."""
    run = released.open("from-nothing", recipe="words")
    assert sorted(spied(released, run)) == ["memory", "source"]


def test_another_checkpoint_makes_another_ingest_and_the_same_one_none(
    released: ToyProject,
) -> None:
    """The section is a parameter of ingest; the network's sizes are not."""
    first = start_from(released, "digits@v0.1.0", "begin")
    assert run_stage(first, "ingest", released.launcher) in {"executed", "restored"}
    again = toy_run(released, "again", {"base.init_from": "digits@v0.1.0", "model.d_model": 16})
    assert run_stage(again, "ingest", released.launcher) == "restored"
    other = start_from(released, "run:digits/one", "other")
    assert run_stage(other, "ingest", released.launcher) in {"executed", "restored"}
    changed = toy_run(released, "changed", {"base.model": "fewer"})
    assert run_stage(changed, "ingest", released.launcher) == "executed"


def toy_run(toy: ToyProject, run_id: str, overrides: dict[str, object]) -> Run:
    return toy.open(run_id, recipe="words", overrides=overrides)


def test_a_machine_without_the_run_gets_the_checkpoint_from_the_remote(
    released: ToyProject, tmp_path: Path
) -> None:
    """Only its few files, not the data that it was trained on."""
    home = released.project.home
    environ = {"VOXMILL_HOME": str(tmp_path / "home"), "VOXMILL_REMOTE": str(home / "remote")}
    elsewhere = ToyProject(released.root, released.control, environ)
    run = start_from(elsewhere, "digits@v0.1.0", "elsewhere")
    assert spied(elsewhere, run)["init"] == WANTED
    theirs = released.project.runs / "digits" / "one" / "artifacts" / "digits" / "train"
    assert in_cache(elsewhere, theirs / "best" / "state.pt").exists()
    assert not in_cache(elsewhere, theirs / "data.bin").exists()


def in_cache(toy: ToyProject, file: Path) -> Path:
    """Where DVC keeps what is in the file."""
    key = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    return toy.project.cache / "dvc" / "files" / "md5" / key[:2] / key[2:]


def test_a_stage_that_is_launched_by_hand_is_given_it_too(
    released: ToyProject, tmp_path: Path
) -> None:
    """`voxmill launch`, which `dvc repro` calls, in a checkout that is nobody's run."""
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", str(released.root), str(checkout))
    recipe = checkout / "recipes" / "words.yaml"
    recipe.write_text(recipe.read_text().replace("base: {}", "base: {init_from: digits@v0.1.0}"))
    (checkout / "memory" / "words").mkdir(parents=True, exist_ok=True)
    home = {"VOXMILL_HOME": str(released.project.home), "VOXMILL_DATA": str(released.root)}
    done = subprocess.run(
        [sys.executable, TOY_COMMAND, str(released.control), "launch", "ingest", "words"],
        cwd=checkout,
        env={**os.environ, **home, "VOXMILL_GIT": str(released.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    brought = checkout / "work/words/init/release/digits/v0.1.0"
    assert sorted(hashes(brought)) == WANTED


@pytest.mark.parametrize(
    ("init_from", "words"),
    [
        ("digits@v9.0.0", r"no release v9\.0\.0\. Releases of it: v0\.1\.0"),
        ("words@v0.1.0", r"Releases of it: none; of all recipes: digits@v0\.1\.0"),
        ("run:digits/two", r"no run digits/two on .*Runs of digits: .*digits/one"),
        ("run:nobody/one", "Runs of nobody: none; of all recipes: .*words/"),
    ],
)
def test_what_is_not_there_is_refused_when_the_run_is_opened(
    released: ToyProject, init_from: str, words: str
) -> None:
    """Before anything is cloned or mirrored; the message names what there is."""
    with pytest.raises(UsageError, match=f"(?s){words}"):
        start_from(released, init_from, "nothing-there")
    assert not (released.project.runs / "words" / "nothing-there").exists()


def test_a_run_that_has_not_been_trained_has_no_checkpoint(released: ToyProject) -> None:
    """What is missing is named."""
    half = released.open("half", overrides={"audit.max_seconds": 1.0})
    released.run_all(half, until="prepare")
    with pytest.raises(UsageError, match="run:digits/half has no result of train yet"):
        start_from(released, "run:digits/half", "from-half")


def test_files_that_are_nowhere_are_a_usage_error_with_what_to_do(
    tmp_path: Path,
) -> None:
    """Neither in the cache of this machine nor in the remote that the release names."""
    toy = with_words(make_project(tmp_path))
    run = toy.open("one")
    toy.run_all(run)
    release(toy.project, run)
    begun = start_from(toy, "digits@v0.1.0", "begun")
    forget_storage()
    for folder in (toy.project.home / "remote", toy.project.cache / "dvc"):
        shutil.rmtree(folder / "files")
    with pytest.raises(
        UsageError, match=r"neither in this machine's cache nor in its\s+DVC remote"
    ):
        run_stage(begun, "ingest", toy.launcher)
    assert not list((begun.folder / "work" / "words" / "init").rglob("state.pt"))


def test_a_damaged_file_is_not_taken_for_the_checkpoint(tmp_path: Path) -> None:
    """DVC trusts its cache; the report of the stage that made the file has its hash."""
    toy = with_words(make_project(tmp_path))
    run = toy.open("one")
    toy.run_all(run)
    begun = start_from(toy, "run:digits/one", "begun")
    cached = in_cache(toy, run.output("train") / "best" / "state.pt")
    content = bytearray(cached.read_bytes())
    content[0] ^= 1
    cached.chmod(0o644)
    cached.write_bytes(content)
    with pytest.raises(DataError, match=r"best/state\.pt of run:digits/one is damaged"):
        run_stage(begun, "ingest", toy.launcher)


def foreign(toy: ToyProject, content: bytes = b"weights") -> Path:
    folder = toy.root / "fewer" / "theirs"
    folder.mkdir(exist_ok=True)
    (folder / "best.pt").write_bytes(content)
    (folder / "tokens.json").write_text("{}")
    (folder / "other.pt").write_bytes(b"not named")
    return folder


def test_a_foreign_checkpoint_is_given_alone_whatever_lies_beside_it(
    released: ToyProject,
) -> None:
    """Under its own name, with the tokenizer that the recipe names."""
    foreign(released)
    more = {"init_tokenizer": "fewer/theirs/tokens.json"}
    run = start_from(released, "fewer/theirs/best.pt", "foreign", **more)
    assert spied(released, run)["init"] == ["best.pt", "tokens.json"]


def test_a_foreign_checkpoint_that_changed_is_given_as_it_is_now(released: ToyProject) -> None:
    """A next try of the same run must not read what an earlier one brought."""
    folder = foreign(released, b"first")
    run = start_from(released, "fewer/theirs/best.pt", "changing")
    project = released.project
    bring_starting_point(run.folder, "words", "ingest", lambda: project)
    given = plan_stage(run.folder, "words", "ingest").inputs["init"]
    assert (given / "best.pt").read_bytes() == b"first"
    (folder / "best.pt").unlink()
    (folder / "best.pt").write_bytes(b"second")
    bring_starting_point(run.folder, "words", "ingest", lambda: project)
    assert (given / "best.pt").read_bytes() == b"second"


def test_a_base_folder_is_given_as_it_is(released: ToyProject) -> None:
    """Relative paths start at the project, as those of sources do."""
    run = toy_run(released, "folder", {"base.model": "fewer"})
    assert "0.wav" in spied(released, run)["base"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"base.model": "nowhere"}, r"base\.model: 'nowhere' is not there"),
        ({"base.init_from": "nowhere/best.pt"}, r"base\.init_from: 'nowhere/best\.pt' is not"),
        (
            {"base.init_from": "code.pt", "base.init_tokenizer": "nowhere.json"},
            r"base\.init_tokenizer: 'nowhere\.json' is not there",
        ),
    ],
)
def test_folders_and_files_that_are_not_there_are_refused_when_the_run_is_opened(
    released: ToyProject, overrides: dict[str, object], words: str
) -> None:
    """With the field, and where was looked."""
    (released.root / "code.pt").write_bytes(b"")
    with pytest.raises(DataError, match=words):
        toy_run(released, "no-such-file", overrides)


def test_the_recipe_of_these_tests_states_the_section() -> None:
    """DVC tracks sections by name: a recipe without it could not be committed."""
    assert "\nbase: {}\n" in RECIPE
