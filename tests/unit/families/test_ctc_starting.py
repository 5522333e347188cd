"""Starting from a checkpoint: what fits is taken, what does not is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import WavLMForCTC

from toys.small_bases import small_base
from toys.tone_speech import MODEL, write_prepared
from voxmill.errors import DataError
from voxmill.families.ctc.config import CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.network import build
from voxmill.families.ctc.starting import start_from
from voxmill.training.checkpoint import CheckpointStore
from voxmill.training.config import TrainConfig


def kit_of(prepared: Path, utterances):
    return CtcFamily().kit(
        prepared=prepared,
        utterances=utterances,
        model=MODEL,
        train=TrainConfig(batch_seconds=8.0, buckets=2, warmup_steps=0),
        stop=lambda: False,
    )


def test_a_second_training_starts_where_the_first_one_was_with_a_fresh_optimizer(tmp_path) -> None:
    """Weights are taken over, steps and moments are not; the account names every tensor."""
    utterances = write_prepared(tmp_path)
    first = kit_of(tmp_path, utterances)
    for position in range(first.batches.batch_count(0)):
        first.learner.step([first.batches.batch(0, position)])
    store = CheckpointStore(tmp_path / "store", keep=1)
    store.save(1, {"learner": first.learner.state()}, best=True)
    store.export("best", tmp_path / "init" / "checkpoint")
    second = kit_of(tmp_path, utterances)
    state = second.learner.state()
    for name, tensor in first.learner.state()["model"].items():
        assert torch.equal(state["model"][name], tensor), name
    assert state["updates"] == 0
    assert not state["optimiser"]["state"]
    account = second.accounts["init"]
    assert account["matched"].keys() == state["model"].keys()
    assert account["missing"] == account["unexpected"] == account["reshaped"] == []


def test_a_checkpoint_of_transformers_own_ctc_class_finds_its_place(tmp_path) -> None:
    """`wavlm.…` becomes the encoder and `lm_head` the head; what has no place is named."""
    base = small_base(tmp_path / "base", "wavlm")
    theirs = WavLMForCTC.from_pretrained(str(base), vocab_size=7, local_files_only=True)
    (tmp_path / "init").mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()},
        tmp_path / "init" / "foreign.safetensors",
    )
    encoder = PretrainedEncoder(kind="pretrained", architecture="wavlm", blocks=0)
    network = build(CtcModelConfig(encoder=encoder), tokens=7, base=base).module
    report = start_from(network, tmp_path / "init")
    assert report is not None
    assert torch.equal(network.head.weight, theirs.lm_head.weight)
    assert report.missing == report.reshaped == ()
    assert set(report.unexpected) <= {"wavlm.masked_spec_embed"}


def test_a_head_for_another_vocabulary_is_told_and_stays_fresh(tmp_path) -> None:
    """The encoder is taken all the same."""
    (tmp_path / "init").mkdir()
    other = build(MODEL, tokens=9).module
    torch.save({"state_dict": other.state_dict()}, tmp_path / "init" / "foreign.pt")
    network = build(MODEL, tokens=6).module
    before = network.ctc_head.weight.clone()
    report = start_from(network, tmp_path / "init")
    assert report is not None
    assert {one.name for one in report.reshaped} == {"ctc_head.weight", "ctc_head.bias"}
    assert torch.equal(network.ctc_head.weight, before)
    assert torch.equal(
        network.encoder.layers[0].conv.depthwise_conv.weight,
        other.encoder.layers[0].conv.depthwise_conv.weight,
    )


def test_without_a_checkpoint_nothing_happens_and_an_empty_folder_is_refused(tmp_path) -> None:
    """A folder that lost its checkpoint is no fresh start."""
    network = build(MODEL, tokens=6).module
    assert start_from(network, tmp_path / "init") is None
    (tmp_path / "init").mkdir()
    with pytest.raises(DataError, match=r"expected checkpoint/ or foreign\.pt.*found nothing"):
        start_from(network, tmp_path / "init")
