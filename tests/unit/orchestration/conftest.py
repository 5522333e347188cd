"""Real Airflow in a process of its own: its settings and its database stay there."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

# Airflow makes its home when it is imported; a test's is thrown away.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-of-tests-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

TESTS = Path(__file__).resolve().parents[2]

# A DAG file as users have it, but for the toys behind it; Airflow looks for the words dag and
# airflow before it reads a file.
DAG_FILE = """# Airflow DAGs of toys.
from toys import toy_dags

globals().update(toy_dags.DAGS)
"""


def play(project: Path, home: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Runs the DAGs; gives what became of each, by id, and under `log` what was printed."""
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [sys.executable, TESTS / "toys" / "play_dags.py", project, home, *wanted],
        env=environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"log": done.stdout + done.stderr}


@pytest.fixture(scope="session")
def toy_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toys' DAG file."""
    project = tmp_path_factory.mktemp("toy-project")
    (project / "dags").mkdir()
    (project / "dags" / "toys_of_airflow.py").write_text(DAG_FILE)
    return project


@pytest.fixture(scope="session")
def toy_runs(
    toy_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Every toy DAG, run once by real Airflow."""
    conf = {"train.seed": 3, "train.max_steps": None, "run.allow_dirty": True}
    wanted = [
        f"succeeds={json.dumps(conf)}",
        "bad-data",
        "leaves",
        "bug-once",
        "bug-always",
        "refused",
        "told-to-stop",
        "interrupted",
        "too-slow",
        "longer-this-time=" + json.dumps({"resources.timeout_hours": 1.0}),
        "wrong-value=" + json.dumps({"train.seed": "three"}),
    ]
    return play(toy_project, tmp_path_factory.mktemp("airflow"), wanted)
