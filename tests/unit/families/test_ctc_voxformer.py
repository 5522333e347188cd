"""A model on a pretrained encoder, trained for seconds on tones, packaged and heard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from toys.packaged_tones import PackagedTones, spoken, train_and_package
from toys.small_bases import small_base
from voxmill.errors import UsageError
from voxmill.families.ctc import modeling_voxformer
from voxmill.families.ctc.attention import IGNORED, attention_loss, attention_texts
from voxmill.families.ctc.config import AttentionDecoder, CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.family import CtcFamily
from voxmill.packaging.hub_folder import load_pipeline
from voxmill.packaging.parity import measure_fp32
from voxmill.scoring.error_rates import score_utterances, total

TEXTS = ("ab cd", "dacb", "bb ad", "c")


def model_on(architecture: str, *, ctc_weight: float, blocks: int) -> CtcModelConfig:
    encoder = PretrainedEncoder(
        kind="pretrained", architecture=architecture, trainable_layers=3, trainable_front=True,
        d_model=32, blocks=blocks, layers_per_block=1, heads=2, d_ff=64, kernel=7, dropout=0.0,
    )  # fmt: skip
    decoder = AttentionDecoder(layers=1, heads=2, d_ff=64, dropout=0.0)
    return CtcModelConfig(encoder=encoder, ctc_weight=ctc_weight, decoder=decoder)


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> PackagedTones:
    folder = tmp_path_factory.mktemp("joint")
    base = small_base(folder / "base", "whisper")
    model = model_on("whisper", ctc_weight=0.3, blocks=1)
    return train_and_package(folder, epochs=160, model=model, base=base)


@pytest.fixture(scope="module")
def on_wavlm(tmp_path_factory) -> PackagedTones:
    folder = tmp_path_factory.mktemp("wavlm")
    base = small_base(folder / "base", "wavlm")
    model = model_on("wavlm", ctc_weight=1.0, blocks=0)
    return train_and_package(folder, epochs=2, model=model, base=base)


def heard(tones: PackagedTones, name: str, decoder: str = "greedy") -> list[str]:
    recogniser = CtcFamily().recogniser(tones.artefact(name), decoder=decoder)
    return [recogniser.transcribe(samples).text for samples in spoken(rate_hz=16000)]


def test_it_learns_the_language_in_both_branches(joint) -> None:
    """CTC from the ONNX file, attention from the Hugging Face folder."""
    assert heard(joint, "onnx-fp32") == list(TEXTS)
    assert heard(joint, "hf") == list(TEXTS)
    read = total(score_utterances(TEXTS, heard(joint, "hf", "attention")))
    assert read.cer < 0.5, "a decoder that does not listen is wrong in four letters of five"


def test_onnx_files_hold_no_attention_decoder(joint, on_wavlm) -> None:
    """Whoever asks for it is told where it is; a model without one says so too."""
    with pytest.raises(UsageError, match=r"CTC branch alone.*main_artefact: hf"):
        CtcFamily().recogniser(joint.artefact("onnx-fp32"), decoder="attention")
    with pytest.raises(UsageError, match=r"no attention decoder.*ctc_weight 1"):
        CtcFamily().recogniser(on_wavlm.artefact("hf"), decoder="attention")


@pytest.mark.parametrize("which", ["joint", "on_wavlm"])
def test_onnx_says_what_pytorch_says_at_every_length(which, request) -> None:
    """Alone and padded beside a neighbour, mel features and waveforms."""
    tones: PackagedTones = request.getfixturevalue(which)
    found = measure_fp32(
        tones.pieces.graph,
        tones.artefact("onnx-fp32").path,
        utterances=spoken(rate_hz=16000),
        sample_rate_hz=16000,
    )
    assert max(batch.largest_difference for batch in found) < 1e-3


@pytest.mark.parametrize("which", ["joint", "on_wavlm"])
def test_a_stranger_loads_the_folder_with_one_call(which, request) -> None:
    """The code that the folder carries is the copy of one file, and hears what we measured."""
    tones: PackagedTones = request.getfixturevalue(which)
    folder = tones.artefact("hf").path
    source = Path(modeling_voxformer.__file__)
    assert [file.name for file in folder.glob("*.py")] == [source.name]
    assert (folder / source.name).read_bytes() == source.read_bytes()
    pipe = load_pipeline(folder, task="automatic-speech-recognition")
    assert type(pipe.model).__module__.startswith("transformers_modules.")
    read = [pipe(samples.copy())["text"].strip() for samples in spoken(rate_hz=16000)]
    assert read == [text.strip() for text in heard(tones, "hf")]


def test_each_branch_is_measured_under_its_own_name(joint) -> None:
    """`wer` is that of CTC; nothing is told of a branch that is not trained."""
    figures = {}
    for weight in (1.0, 0.5, 0.0):
        model = model_on("whisper", ctc_weight=weight, blocks=0)
        figures[weight] = measured(joint.prepared, model)
    assert figures[0.5]["wer"] == figures[0.5]["ctc_wer"]
    assert {"attention_wer", "attention_cer", "attention_loss"} <= figures[0.5].keys()
    assert not any(name.startswith(("ctc_", "attention_")) for name in figures[1.0])
    assert "blank_ratio" not in figures[0.0]
    assert "wer" in figures[0.0]


def measured(prepared: Path, model: CtcModelConfig) -> dict[str, float]:
    from voxmill.corpus.manifest import read_lines
    from voxmill.corpus.utterance import PreparedUtterance
    from voxmill.training.config import TrainConfig

    kit = CtcFamily().kit(
        prepared=prepared,
        utterances=read_lines(prepared / "utterances.jsonl", PreparedUtterance),
        model=model,
        train=TrainConfig(batch_seconds=8.0, buckets=2),
        stop=lambda: False,
    )
    kit.learner.step([kit.batches.batch(0, 0)])
    return kit.learner.validate([kit.validation.batch(0, 0)])


def test_the_decoder_is_asked_for_each_label_and_the_end() -> None:
    """Short texts are ignored past their end, and the loss is torch's own, text by text."""
    labels = torch.tensor([[2, 3, 4], [5, 0, 0]])
    given, answers = attention_texts(labels, torch.tensor([3, 1]), boundary=6)
    assert given.tolist() == [[6, 2, 3, 4], [6, 5, 0, 0]]
    assert answers.tolist() == [[2, 3, 4, 6], [5, 6, IGNORED, IGNORED]]
    scores = torch.randn(2, 4, 7)
    expected = sum(
        functional.cross_entropy(scores[row, :count], answers[row, :count], reduction="sum")
        for row, count in ((0, 4), (1, 2))
    )
    assert attention_loss(scores, answers, smoothing=0.0).item() == pytest.approx(float(expected))
