"""`voxmill demo` from outside: real Airflow, git, DVC and processes; stages that take no time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toys.toy_project import STAGES, hashes, make_project

TESTS = Path(__file__).resolve().parents[1]
DAG_FILE = """# Airflow DAGs of a toy project.
from pathlib import Path

from toys.real_dags import dags

globals().update(dags(Path(__file__).parents[1]))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A project whose DAG file has the real worker and toy stages."""
    toy = make_project(tmp_path_factory.mktemp("demo"))
    (toy.root / "dags").mkdir()
    (toy.root / "dags" / "played.py").write_text(DAG_FILE)
    toy.git("add", "dags")
    toy.git("commit", "--quiet", "--message=Add DAGs")
    return toy


def demo(toy, *arguments):
    environ = {
        name: value
        for name, value in os.environ.items()
        if "AIRFLOW" not in name and not name.startswith("VOXMILL_")
    }
    return subprocess.run(
        [sys.executable, "-m", "voxmill.cli.main", "demo", "digits", *arguments],
        cwd=toy.root,
        env=environ | {"PYTHONPATH": str(TESTS), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def first(toy):
    """The first demo of a fresh project."""
    return demo(toy)


@pytest.fixture(scope="module")
def second(toy, first):
    """The same again; with it, how often each stage had been launched before."""
    assert first.returncode == 0, first.stdout + first.stderr
    before = {stage: toy.launches(stage) for stage in STAGES}
    return before, demo(toy)


def line_of(done, start):
    return next(line for line in done.stdout.splitlines() if line.startswith(start))


def artefacts(done):
    return Path(line_of(done, "artefacts").split(maxsplit=1)[1])


def test_a_demo_ends_with_figures_times_and_a_release(first):
    """Rule: whoever starts a demo reads at its end how good the model is and where it lies."""
    assert first.returncode == 0, first.stdout + first.stderr
    figures = next(line for line in first.stdout.splitlines() if "onnx-fp32" in line)
    assert "3.00% (2.00% - 4.00%)" in figures
    assert "1.00%" in figures
    for task in ("open", *STAGES, "release"):
        assert f"│ {task} " in first.stdout
    assert line_of(first, "digits is released as") == "digits is released as digits@v0.1.0"
    assert artefacts(first).is_dir()


def test_the_line_it_prints_brings_everything_back_byte_for_byte(first, toy, tmp_path):
    """Rule: the printed line is the way back, in another folder, with exit code 0."""
    line = line_of(first, "get it").removeprefix("get it").strip()
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    back = tmp_path / "digits-v0.1.0" / "artifacts" / "digits"
    assert hashes(back) == hashes(artefacts(first).parent)
    assert {path.name for path in back.iterdir()} == set(STAGES)


def test_a_second_demo_runs_nothing_and_releases_nothing(second, toy):
    """Rule: an unchanged run is restored, and the same content is not tagged twice."""
    before, done = second
    assert done.returncode == 0, done.stdout + done.stderr
    assert {stage: toy.launches(stage) for stage in STAGES} == before
    assert "digits is already released, with the same outputs, as digits@v0.1.0" in done.stdout
    assert toy.git("tag", "--list", "digits@*").split() == ["digits@v0.1.0"]


def test_a_failed_check_ends_the_demo_with_its_reason_and_code(second, toy):
    """Rule: the failed task, the reason, the remedy and the exit code are told; no release."""
    toy.order("audit.failed")
    (toy.root / "code.py").write_text("print('two')\n")
    done = demo(toy, "--set", "audit.max_seconds=2.5")
    toy.git("checkout", "--", "code.py")
    assert done.returncode == 66, done.stdout + done.stderr
    told = done.stdout[done.stdout.index("digits: verify failed.") :]
    assert "audit.quality: 0.5, limit: at most 0.4. Look at the data." in told
    assert "voxmill waive" in told
    assert "voxmill resume" in told
    assert toy.git("tag", "--list", "digits@*").split() == ["digits@v0.1.0"]
    # The same start had uncommitted code, and says so before anything else.
    assert "code.py" in line_of(done, "Uncommitted code")
