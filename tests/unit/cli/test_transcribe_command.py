"""`voxmill transcribe`: a package hears recordings without torch or transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toys.packaged_tones import made_once
from toys.tone_speech import RATE_HZ, say
from voxmill.signal.resample import resample

# As in images/serve: whoever imports one of these has more installed than a package needs.
WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "onnx", "accelerate", "airflow", "dvc"):
    sys.modules[name] = None
from voxmill.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def transcribe(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, "transcribe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory.mktemp("tones")).package


def test_a_package_hears_recordings_of_any_rate_without_torch(package: Path, tmp_path) -> None:
    """One line for each recording: what it is called, a tab, what was heard."""
    generator = np.random.default_rng(11)
    texts = ("ab cd", "dacb")
    spoken = [say(text, generator) for text in texts]
    files = [tmp_path / "own-rate.wav", tmp_path / "other-rate.flac"]
    soundfile.write(files[0], spoken[0], RATE_HZ)
    doubled = resample(spoken[1], from_hz=RATE_HZ, to_hz=2 * RATE_HZ)
    soundfile.write(files[1], doubled, 2 * RATE_HZ)
    done = transcribe(package, *files)
    assert done.returncode == 0, done.stderr
    heard = dict(line.split("\t") for line in done.stdout.splitlines())
    assert heard == dict(zip(map(str, files), texts, strict=True))
    done = transcribe(package / "onnx", files[0], "--artefact", "onnx-int8", "--json")
    assert json.loads(done.stdout)["recording"] == str(files[0])


def test_what_is_no_package_or_no_recording_is_refused_in_words(package: Path, tmp_path) -> None:
    """64 and 65; the message names the folder, the file and what to do."""
    done = transcribe(tmp_path, tmp_path / "x.wav")
    assert (done.returncode, "no package" in done.stderr) == (64, True)
    (tmp_path / "x.wav").write_text("noise")
    done = transcribe(package, tmp_path / "x.wav")
    assert (done.returncode, "x.wav" in done.stderr) == (65, True)
