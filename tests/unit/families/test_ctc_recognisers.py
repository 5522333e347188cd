"""Every artefact hears the same, alone with its files, with and without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from toys.packaged_tones import spoken
from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.family import Artefact

TEXTS = ("ab cd", "dacb", "bb ad", "c")


@pytest.mark.parametrize("name", ["hf", "onnx-fp32", "onnx-int8"])
@pytest.mark.parametrize("decoder", ["greedy", "beam4"])
def test_each_artefact_understands_the_tones(tones, name: str, decoder: str) -> None:
    """Packaged files, not the trainer's memory, recognise fresh utterances, decoder named."""
    recogniser = CtcFamily().recogniser(tones.artefact(name), decoder=decoder)
    heard = [recogniser.transcribe(samples) for samples in spoken(TEXTS)]
    assert {one.decoder for one in heard} == {f"ctc-{decoder}"}
    right = sum(one.text == text for one, text in zip(heard, TEXTS, strict=True))
    assert right >= 3, [one.text for one in heard]


def test_onnx_fp32_hears_exactly_what_transformers_hears(tones) -> None:
    """Two implementations of front end and network, one text."""
    family = CtcFamily()
    hf = family.recogniser(tones.artefact("hf"), decoder="greedy")
    onnx = family.recogniser(tones.artefact("onnx-fp32"), decoder="greedy")
    for samples in spoken(("abcd dcba", "aaa", "d c b a", "cab")):
        assert hf.transcribe(samples) == onnx.transcribe(samples)


@pytest.mark.parametrize("name", ["hf", "onnx-fp32", "onnx-int8"])
def test_without_normalisation_each_artefact_understands_the_tones_too(plain_tones, name) -> None:
    """The other front end travels with the package: folder and ONNX file agree on every text."""
    family = CtcFamily()
    recogniser = family.recogniser(plain_tones.artefact(name), decoder="greedy")
    hf = family.recogniser(plain_tones.artefact("hf"), decoder="greedy")
    heard = [recogniser.transcribe(samples).text for samples in spoken(TEXTS)]
    assert sum(one == text for one, text in zip(heard, TEXTS, strict=True)) >= 3, heard
    if name == "onnx-fp32":
        assert heard == [hf.transcribe(samples).text for samples in spoken(TEXTS)]
    for samples in (0, 1, 279):  # 280 samples make the second frame at 8 kHz
        assert recogniser.transcribe(np.zeros(samples, dtype=np.float32)).text == ""


@pytest.mark.parametrize("name", ["hf", "onnx-fp32", "onnx-int8"])
@pytest.mark.parametrize("samples", [0, 1, 79, 159])
def test_too_short_a_recording_is_silence_not_an_error(tones, name: str, samples: int) -> None:
    """Less than two frames of sound have an empty transcript."""
    recogniser = CtcFamily().recogniser(tones.artefact(name), decoder="greedy")
    assert recogniser.transcribe(np.zeros(samples, dtype=np.float32)).text == ""


def test_onnx_works_without_torch_and_transformers(tones, tmp_path) -> None:
    """A fresh interpreter in which both are forbidden hears what we hear."""
    np.save(tmp_path / "speech.npy", spoken(("ab cd",))[0])
    code = (
        "import sys, json; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from voxmill.families.catalogue import load_family\n"
        "from voxmill.families.family import Artefact\n"
        f"file = Path({str(tones.artefact('onnx-int8').path)!r})\n"
        "artefact = Artefact(name='onnx-int8', path=file, bytes=0)\n"
        "recogniser = load_family('ctc').recogniser(artefact, decoder='greedy')\n"
        f"print(json.dumps(recogniser.transcribe(np.load({str(tmp_path / 'speech.npy')!r})).text))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = CtcFamily().recogniser(tones.artefact("onnx-int8"), decoder="greedy")
    assert json.loads(done.stdout) == ours.transcribe(spoken(("ab cd",))[0]).text


def test_measuring_leaves_torch_s_threads_as_they_were(tones) -> None:
    """The recogniser computes on one thread and gives the others back."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        recogniser = CtcFamily().recogniser(tones.artefact("hf"), decoder="greedy")
        recogniser.transcribe(spoken()[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("lost", ["model.onnx", "frontend.json", "tokenizer"])
def test_a_missing_part_of_an_onnx_package_is_named(tones, tmp_path, lost: str) -> None:
    """Whatever was not copied along, the message says which file."""
    copy = tmp_path / "onnx"
    shutil.copytree(tones.package / "onnx", copy)
    target = copy / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    artefact = Artefact(name="onnx-fp32", path=copy / "model.onnx", bytes=0)
    with pytest.raises(DataError, match=lost):
        CtcFamily().recogniser(artefact, decoder="greedy")


def test_a_folder_that_is_no_model_is_a_data_error(tmp_path) -> None:
    """An empty Hugging Face folder is told by its path, with the remedy."""
    artefact = Artefact(name="hf", path=tmp_path, bytes=0)
    with pytest.raises(DataError, match=r"cannot be loaded.*Run package"):
        CtcFamily().recogniser(artefact, decoder="greedy")


def test_an_unknown_artefact_is_refused_with_those_there_are(tones) -> None:
    """A name that the family does not package."""
    artefact = Artefact(name="gguf", path=tones.package, bytes=0)
    with pytest.raises(UsageError, match="hf, onnx-fp32 and onnx-int8"):
        CtcFamily().recogniser(artefact, decoder="greedy")
