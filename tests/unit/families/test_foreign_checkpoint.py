"""Checkpoints of other programs: nothing in them runs, and every tensor is accounted for."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from voxmill.errors import DataError
from voxmill.families.foreign_checkpoint import Reshaped, apply, match, read_foreign

WEIGHTS = {"front.weight": torch.arange(6.0).reshape(2, 3), "front.bias": torch.ones(2)}


class Bomb:
    """Unpickling it starts a program that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(found[k].equal(wanted[k]) for k in wanted)


@pytest.mark.parametrize("protocol", ["zip", "legacy", "plain pickle"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_does_not_run(
    tmp_path: Path, protocol: str, deep: bool
) -> None:
    """Whether in the first object or beside good weights; the same file goes off elsewhere."""
    mark, file = tmp_path / "mark", tmp_path / "model.pt"
    content = {"state_dict": WEIGHTS, "callbacks": [Bomb(mark)]} if deep else Bomb(mark)
    if protocol == "plain pickle":
        file.write_bytes(pickle.dumps([3, Bomb(mark)] if deep else content, protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=protocol == "zip")
    with pytest.raises(DataError, match=r"calls posix\.system.*(?s:.)*safetensors"):
        read_foreign(file)
    assert not mark.exists()
    code = f"import torch; torch.load({str(file)!r}, weights_only=False)"
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert mark.exists()


@pytest.mark.parametrize("content", [nn.Linear(2, 2), {"args": Namespace(a=1), "model": WEIGHTS}])
def test_harmless_classes_are_refused_too_by_name(tmp_path: Path, content: object) -> None:
    """Which classes are harmless is not for us to guess; the advice is to write tensors alone."""
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(DataError, match=r"calls (torch\.nn|argparse).*state|safetensors"):
        read_foreign(tmp_path / "model.pt")


def test_a_torchscript_archive_is_a_program(tmp_path: Path) -> None:
    """It is a zip file like a checkpoint, and holds code."""
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "model.pt"))
    with pytest.raises(DataError, match=r"cannot be read safely.*TorchScript"):
        read_foreign(tmp_path / "model.pt")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", ["", "state_dict", "model_state_dict", "model", "module"])
def test_weights_are_found_wherever_trainers_put_them(
    tmp_path: Path, wrap: str, legacy: bool
) -> None:
    """Optimizer, counters and everything else that is no tensor is left out."""
    beside = {"epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}}, "lr": 1e-4}
    content = {wrap: WEIGHTS, **beside} if wrap else {**WEIGHTS, **beside}
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    assert same(read_foreign(tmp_path / "a.ckpt"), WEIGHTS)


def test_safetensors_are_read_by_their_own_library(tmp_path: Path) -> None:
    """They cannot hold code at all."""
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert same(read_foreign(tmp_path / "model.safetensors"), WEIGHTS)


def test_prefixes_of_wrappers_are_taken_off(tmp_path: Path) -> None:
    """Data parallel training and torch.compile put them there; one name must not become two."""
    wrapped = {f"module._orig_mod.{name}": value for name, value in WEIGHTS.items()}
    torch.save({"model": {"state_dict": wrapped}}, tmp_path / "a.pth")
    assert same(read_foreign(tmp_path / "a.pth"), WEIGHTS)
    both = {"module.a": torch.ones(1), "a": torch.zeros(1), "module.b": torch.ones(2)}
    torch.save(both, tmp_path / "b.pth")
    assert set(read_foreign(tmp_path / "b.pth")) == {"module.a", "a", "b"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pt", b"", "cannot be read safely"),
        ("a.pt", b"hello", "cannot be read safely"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1", "damaged"),
        ("a.pt", [1, 2], "found a list"),
        ("a.pt", {"epoch": 1}, "found epoch"),
        ("a.pt", {"state_dict": {"a": [1]}}, "found a"),
        ("a.pt", {}, "found nothing"),
    ],
)
def test_what_is_no_checkpoint_is_told_with_what_was_found(
    tmp_path: Path, name: str, content: object, words: str
) -> None:
    """Empty, text, a Git LFS pointer, plain values."""
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(DataError, match=words):
        read_foreign(tmp_path / name)


def test_a_file_that_is_cut_off_anywhere_is_a_data_error(tmp_path: Path) -> None:
    """PyTorch raises half a dozen different exceptions over it."""
    torch.save(WEIGHTS, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for length in range(1, len(content) - 30, 97):
        (tmp_path / "a.pt").write_bytes(content[:length])
        with pytest.raises(DataError, match="cannot be read safely"):
            read_foreign(tmp_path / "a.pt")
    with pytest.raises(DataError, match="no such file"):
        read_foreign(tmp_path / "other.pt")


def test_every_tensor_of_both_sides_is_in_the_report_once() -> None:
    """Matched, missing, unexpected, or there in another shape."""
    state = {"net.a": torch.zeros(2), "net.b": torch.zeros(3), "head": torch.zeros(4, 5)}
    tensors = {"enc.a": torch.ones(2), "head": torch.ones(4, 6), "old": torch.ones(1)}
    report = match(state, tensors, {"enc.": "net."})
    assert report.matched == {"net.a": "enc.a"}
    assert report.missing == ("net.b",)
    assert report.unexpected == ("old",)
    assert report.reshaped == (Reshaped("head", (4, 5), (4, 6)),)
    told = json.loads(json.dumps(report.as_json()))
    assert told["reshaped"] == [{"name": "head", "expected": [4, 5], "found": [4, 6]}]
    assert told["matched"] == {"net.a": "enc.a"}
    assert report.table().splitlines() == [
        "matched        1",
        "missing        1  net.b",
        "unexpected     1  old",
        "reshaped       1  head (4, 6), expected (4, 5)",
    ]


names = st.sampled_from([f"{a}.{b}" for a in "xyz" for b in "pqr"])
sizes = st.dictionaries(names, st.integers(1, 3), max_size=9)


@given(sizes, sizes)
def test_the_four_kinds_share_all_names_out_between_them(mine: dict, theirs: dict) -> None:
    """Whatever the two sides are; and where nothing fits, that is an error."""
    state = {name: torch.zeros(size) for name, size in mine.items()}
    tensors = {name: torch.ones(size) for name, size in theirs.items()}
    if not any(theirs.get(name) == size for name, size in mine.items()):
        with pytest.raises(DataError, match="none of its"):
            match(state, tensors, {})
        return
    report = match(state, tensors, {})
    reshaped = [one.name for one in report.reshaped]
    assert sorted([*report.matched, *report.missing, *reshaped]) == sorted(mine)
    assert sorted([*report.matched.values(), *report.unexpected, *reshaped]) == sorted(theirs)
    apply(state, tensors, report)
    changed = {name for name, value in state.items() if value.eq(1).all()}
    assert changed == set(report.matched)


def test_the_longest_beginning_decides_what_a_name_becomes() -> None:
    """A rule for a whole name stands above one for its folder; an empty one stands for all."""
    state = {"net.a": torch.zeros(1), "out.weight": torch.zeros(2)}
    tensors = {"a": torch.ones(1), "lm.weight": torch.ones(2)}
    report = match(state, tensors, {"": "net.", "lm.weight": "out.weight"})
    assert report.matched == {"net.a": "a", "out.weight": "lm.weight"}


def test_two_names_that_become_one_are_refused() -> None:
    """Which of them counts would be chance."""
    with pytest.raises(DataError, match=r"b\.w and a\.w both become"):
        match({"w": torch.ones(1)}, {"b.w": torch.ones(1), "a.w": torch.ones(1)}, _both())


def _both() -> dict[str, str]:
    return {"a.": "", "b.": ""}


def test_what_matched_is_copied_into_the_model_and_nothing_else_is_touched() -> None:
    """In place, in the model's own type; what is missing stays as it was made."""
    model = nn.Linear(3, 2).to(torch.bfloat16)
    kept = model.bias.detach().clone()
    tensors = {"weight": torch.full((2, 3), 0.5)}
    apply(model.state_dict(), tensors, match(model.state_dict(), tensors, {}))
    assert model.weight.dtype is torch.bfloat16
    assert model.weight.eq(0.5).all()
    assert model.bias.equal(kept)


def test_a_checkpoint_of_a_failed_training_is_refused_before_anything_is_copied() -> None:
    """NaN would spread into every weight at the first step."""
    state = {"a": torch.zeros(2), "b": torch.zeros(2)}
    tensors = {"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}
    with pytest.raises(DataError, match="b holds NaN"):
        apply(state, tensors, match(state, tensors, {}))
    assert state["a"].eq(0).all()
