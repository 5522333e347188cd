"""Whatever goes wrong on the command line is one message and the right exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from voxmill import __version__
from voxmill.cli.main import run
from voxmill.stages.report import read_report

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes, where the command line is used."""
    shutil.copytree(RECIPES, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_and_version_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    """`voxmill` alone helps; `--version` tells."""
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"voxmill {__version__}\n"


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["stage"], 64)])
def test_a_command_that_used_torch_ends_at_once_and_says_all(
    arguments: list[str], code: int
) -> None:
    """What is registered for the exit runs, buffers are written; modules are not taken apart."""
    program = f"""
import atexit, sys, torch
from voxmill.cli.main import main
class Module:
    def __del__(self):
        print("taken apart")
kept = Module()
atexit.register(print, "registered")
print("said", end=" ")
sys.argv = ["voxmill", *{arguments!r}]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    version = f"voxmill {__version__}\n" if code == 0 else ""
    assert (done.returncode, done.stdout) == (code, f"said {version}registered\n")
    assert ("Missing argument" in done.stderr) == (code == 64)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["doctr"], "No such command 'doctr'. Did you mean 'doctor'? See `voxmill --help`."),
        (["recipe"], "Missing command. See `voxmill recipe --help`."),
        (["recipe", "check", "--bar"], "No such option: --bar. See `voxmill recipe check --help`."),
        (["stage"], "Missing argument 'STAGE'. See `voxmill stage --help`."),
        (["recipe", "check", "digts"], "Did you mean digits?"),
        (
            ["recipe", "check", "digits", "--set", "train.epohs=3"],
            "train.epohs: found an unknown key (--set); did you mean train.epochs?",
        ),
    ],
)
def test_wrong_usage_is_one_message_and_64(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """On stderr, without a traceback, with what to do."""
    assert run(arguments) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("voxmill: ")
    assert told in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--in", "audit"], "--in audit: expected NAME=DIR"),
        (["--in", "a=x", "--in", "a=y"], "--in a stands twice: x and y"),
        (["--shard", "4/4"], "--shard 4/4: expected I/N with I from 0 to N - 1"),
        (["--shard", "half"], "--shard half: expected I/N"),
        (["--attempt", "0"], "Invalid value for '--attempt'"),
        (["--in", "audit=nowhere"], "Input audit: no folder at nowhere"),
    ],
)
def test_wrong_stage_options_are_told(
    project: Path, capsys: pytest.CaptureFixture[str], extra: list[str], told: str
) -> None:
    """Nothing is made before the options are right."""
    options = ["--recipe", "recipes/digits.yaml", "--out", "out", "--work", "work"]
    assert run(["stage", "audit", *options, *extra]) == 64
    assert told in capsys.readouterr().err
    assert not (project / "out").exists()


def test_check_reads_every_recipe_and_tells_all_mistakes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two broken recipes are both told; the good one is named."""
    for name in ("first", "second"):
        (project / "recipes" / f"{name}.yaml").write_text("title: 1\n", encoding="utf-8")
    assert run(["recipe", "check"]) == 64
    captured = capsys.readouterr()
    assert "digits: Connected digits" in captured.out
    assert "recipes/first.yaml: 4 mistakes" in captured.err
    assert "recipes/second.yaml: 4 mistakes" in captured.err


def test_what_show_prints_is_a_recipe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Overrides and defaults are in it."""
    assert run(["recipe", "show", "digits", "--set", "train.epochs=3"]) == 0
    shown = capsys.readouterr().out
    (project / "recipes" / "shown.yaml").write_text(shown, encoding="utf-8")
    assert "  epochs: 3\n" in shown
    assert "  beam_width: 8\n" in shown
    assert run(["recipe", "check", "shown"]) == 0


def test_list_source_writes_the_same_for_the_same_data(project: Path) -> None:
    """A listing is a function of the files, not of the day or the order on disk."""
    recipe = "title: T\nfamily: ctc\nsource: {kind: folder, path: data}\nmodel: {}\n"
    (project / "recipes" / "mine.yaml").write_text(recipe, encoding="utf-8")
    for folder, names in (("one", "ab"), ("two", "ba")):
        (project / folder).mkdir()
        for name in names:
            (project / folder / f"{name}_anna_1.wav").write_bytes(name.encode())
    options = ["--recipe", "recipes/mine.yaml", "--cache", "cache.json"]
    for folder in ("one", "two"):
        out = f"memory/{folder}.json"
        assert run(["list-source", *options, "--in", f"source={folder}", "--out", out]) == 0
    first, second = (project / "memory" / f"{name}.json" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    assert set(json.loads(first.read_text("utf-8"))["files"]) == {
        "a_anna_1.wav",
        "b_anna_1.wav",
    }


@pytest.mark.parametrize(
    ("recipe", "options", "code"),
    [
        ("title: 1\n", [], 64),
        ("title: T\nfamily: ctc\nsource: {kind: folder, path: d}\nmodel: {}\n", [], 64),
        (
            "title: T\nfamily: ctc\nsource: {kind: folder, path: d}\nmodel: {}\n",
            ["--in", "source=nowhere"],
            65,
        ),
    ],
)
def test_list_source_refuses_a_wrong_recipe_and_a_missing_folder(
    project: Path, recipe: str, options: list[str], code: int
) -> None:
    """Usage is 64, data is 65, and no listing is written."""
    (project / "recipes" / "mine.yaml").write_text(recipe, encoding="utf-8")
    arguments = ["--recipe", "recipes/mine.yaml", "--out", "source.json", *options]
    assert run(["list-source", *arguments]) == code
    assert not (project / "source.json").exists()


def test_the_module_runs_a_stage_as_launchers_start_it(tmp_path: Path) -> None:
    """`python -P -m voxmill.cli.main stage …` is what a process and a container run."""
    command = [sys.executable, "-P", "-m", "voxmill.cli.main", "stage", "verify"]
    command += ["--recipe", str(RECIPES / "digits.yaml")]
    command += ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "out")
    assert (report.stage, report.verdict, report.attempt) == ("verify", "not_applicable", 1)
    again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert again.returncode == 64
    assert "is not empty: found report.json" in again.stderr
