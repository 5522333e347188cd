"""`voxmill launch`, with a toy behind the real launcher."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toys.checkout import toy_checkout

TESTS = Path(__file__).resolve().parents[2]
DRIVER = """
import sys
sys.path.insert(0, sys.argv.pop(1))
source = sys.argv.pop(1)
from voxmill.launchers import catalogue, process
catalogue.LAUNCHERS["toy"] = "toys.launched:Toy"
import types
toys = types.ModuleType("toys.launched")
toys.Toy = lambda: process.ProcessLauncher(
    lambda run: [sys.executable, "-c", source, str(run.out), str(run.work)]
)
sys.modules["toys.launched"] = toys
from voxmill.cli.main import main
main()
"""
SAVES = """
import signal, sys, time
from pathlib import Path
def save(*_):
    Path(sys.argv[2], "checkpoint").write_text("saved")
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(30)
"""
FINISHES = """
import json, sys
from pathlib import Path
report = {"stage": "ingest", "recipe": "digits", "verdict": "passed"}
Path(sys.argv[1], "report.json").write_text(json.dumps(report))
"""

Launch = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return toy_checkout(tmp_path)


@pytest.fixture
def launch(checkout: Path) -> Launch:
    def start(source: str, name: str = "toy") -> subprocess.Popen[str]:
        arguments = ["launch", "ingest", "digits", "--launcher", name]
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(TESTS), source, *arguments],
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_a_good_end_is_exit_code_0_and_the_output_in_its_place(
    checkout: Path, launch: Launch
) -> None:
    """This is all that `dvc repro` looks at."""
    process = launch(FINISHES)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert (checkout / "artifacts" / "digits" / "ingest" / "report.json").exists()


def test_a_stage_s_own_exit_code_and_word_reach_the_shell(launch: Launch) -> None:
    """Scripts decide by the code, people by the message."""
    process = launch("print('voxmill: No recordings in data.'); raise SystemExit(65)")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 65
    assert "ended with exit code 65 (data). It said: No recordings in data." in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_so_that_the_stage_saves_and_leaves(
    checkout: Path, launch: Launch, number: signal.Signals
) -> None:
    """Ctrl-C in a terminal costs no training."""
    process = launch(SAVES)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert (checkout / "work" / "digits" / "checkpoint").read_text() == "saved"


def test_an_unknown_launcher_is_refused_before_anything_starts(
    checkout: Path, launch: Launch
) -> None:
    """64: it is the command line that has to change."""
    process = launch(FINISHES, "tpy")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 64
    assert "No launcher 'tpy'; there are: docker, pod, process, toy." in told
    assert not (checkout / "work").exists()
