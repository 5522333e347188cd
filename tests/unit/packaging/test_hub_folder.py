"""The folder loads with one call, offline, and holds nothing that could run."""

from __future__ import annotations

import socket
import subprocess
import sys

import numpy as np
import pytest

from toys.packaged_tones import spoken
from voxmill.errors import DataError
from voxmill.families.ctc.family import CtcFamily
from voxmill.packaging.hearing import hear
from voxmill.packaging.hub_folder import load_pipeline, write_hub_folder

TASK = "automatic-speech-recognition"


def test_one_call_loads_the_folder_without_any_network(tones, monkeypatch) -> None:
    """With every socket forbidden, transformers.pipeline loads and hears the tones."""

    def forbidden(*_args, **_kwargs):
        raise AssertionError("a folder was to be loaded, not the network")

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    pipe = load_pipeline(tones.package / "hf", task=TASK)
    texts = [pipe(samples)["text"] for samples in spoken(("ab cd", "dacb"))]
    assert texts == ["ab cd", "dacb"]


@pytest.mark.parametrize("normalise", ["utterance", "none"])
def test_the_pipeline_reads_what_is_measured(tones, plain_tones, normalise) -> None:
    """The pipeline decodes one frame past the end; training keeps that frame silent.

    Forty lengths, so that the last frame of speech is full in ten of them.
    """
    tones = tones if normalise == "utterance" else plain_tones
    speech = spoken(("abcd",))[0]
    utterances = [speech[: len(speech) - 37 * k] for k in range(40)]
    found = hear(
        tones.package / "hf",
        task=TASK,
        recogniser=CtcFamily().recogniser(tones.artefact("hf"), decoder="greedy"),
        utterances=utterances,
    )
    assert found.works
    assert found.heard == 40
    assert found.same == 40


def test_a_stranger_needs_nothing_of_ours(tones, tmp_path) -> None:
    """A fresh interpreter in which voxmill does not exist loads the folder and reads it."""
    np.save(tmp_path / "speech.npy", spoken(("ab cd",))[0])
    code = (
        "import sys; sys.modules['voxmill'] = None\n"
        "import numpy as np\n"
        "from transformers import pipeline\n"
        f"pipe = pipeline('{TASK}', model={str(tones.package / 'hf')!r})\n"
        f"print(pipe(np.load({str(tmp_path / 'speech.npy')!r}))['text'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "ab cd"


def test_nothing_in_the_folder_is_pickled_or_code(tones) -> None:
    """safetensors, JSON and text only."""
    suffixes = {file.suffix for file in (tones.package / "hf").rglob("*") if file.is_file()}
    assert ".safetensors" in suffixes
    assert suffixes <= {".safetensors", ".json", ".md", ".txt", ".jinja"}


def test_a_library_that_pickles_is_caught(tones, tmp_path) -> None:
    """A file of any other kind stops the package by its name."""
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match=r"found training_args.bin.*pickled"):
        write_hub_folder(tones.pieces, tmp_path, card="#")


def test_a_folder_that_does_not_work_says_why(tones, tmp_path) -> None:
    """The check behind `package.loads` turns a broken folder into a reason, not a crash."""
    recogniser = CtcFamily().recogniser(tones.artefact("hf"), decoder="greedy")
    found = hear(tmp_path, task=TASK, recogniser=recogniser, utterances=spoken())
    assert not found.works
    assert found.heard == 0
    assert found.problem
