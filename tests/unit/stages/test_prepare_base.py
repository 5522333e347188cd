"""Prepare carries on what training begins with, and takes over a checkpoint's tokenizer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from toys.corpora import digits
from toys.data_stages import DataStages, recipe, tree
from toys.hub_server import write_files
from toys.small_bases import small_base
from voxmill.corpus.config import SplitConfig
from voxmill.errors import DataError
from voxmill.families.ctc.config import CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.family import CtcFamily
from voxmill.recipe.sections import PrepareConfig
from voxmill.text.tokenizer import TextTokenizer, train_characters, write_folder

BASE = {
    "base/config.json": b"{}",
    "base/model.safetensors": bytes(1000),
    "init/checkpoint/state.pt": b"state",
    "base.json": b'{"model": null}',
}


def audited(tmp_path: Path, **sections: object) -> DataStages:
    digits(tmp_path / "in")
    split = PrepareConfig(split=SplitConfig(by="explicit", assign={"s0": "test"}))
    run = DataStages(
        tmp_path / "run",
        recipe=recipe(prepare=split, **sections),
        inputs={"source": tmp_path / "in"},
    )
    run.ingest()
    run.audit()
    return run


def carried(run: DataStages) -> dict[str, bytes]:
    return {
        path: content
        for path, content in tree(run.root / "prepare").items()
        if path.startswith(("base", "init"))
    }


def test_base_and_checkpoint_are_the_same_files_and_take_no_more_room(tmp_path: Path) -> None:
    """Train and package read prepare's output only."""
    run = audited(tmp_path)
    write_files(run.root / "ingest", BASE)
    run.prepare()
    assert carried(run) == BASE
    one, other = (run.root / stage / "base/model.safetensors" for stage in ("ingest", "prepare"))
    assert one.stat().st_ino == other.stat().st_ino
    assert run.family.imported is None


def test_on_two_disks_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container input and output are two mounts."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    run = audited(tmp_path)
    write_files(run.root / "ingest", BASE)
    run.prepare()
    assert carried(run) == BASE


def test_without_a_base_there_is_nothing_of_it_in_the_output(tmp_path: Path) -> None:
    """The output is what it was before there was such a section."""
    run = audited(tmp_path)
    run.prepare()
    assert carried(run) == {}


def test_the_family_is_handed_the_tokenizer_of_the_checkpoint(tmp_path: Path) -> None:
    """As a folder; what it makes of it is the family's business."""
    run = audited(tmp_path)
    write_files(run.root / "ingest", {**BASE, "init/tokenizer/tokenizer.json": b"{}"})
    run.prepare()
    assert run.family.imported == run.root / "prepare" / "init" / "tokenizer"


def test_utterances_are_labelled_by_an_imported_tokenizer(tmp_path: Path) -> None:
    """Its numbers are those of the checkpoint's head; the recipe's vocabulary does not count."""
    run = audited(tmp_path, model=CtcModelConfig(sample_rate_hz=8000))
    run.family = CtcFamily()  # type: ignore[assignment]
    theirs = train_characters(["zero one two three four", "xyz abc"])
    write_folder(theirs, run.root / "ingest" / "init" / "tokenizer")
    run.prepare()
    taken = TextTokenizer.from_folder(run.root / "prepare" / "tokenizer")
    assert taken.tokens == theirs.tokens


def test_a_base_of_another_architecture_is_refused_before_a_recording_is_read(
    tmp_path: Path,
) -> None:
    """Ingest was restored from a run whose `model` it fitted."""
    encoder = PretrainedEncoder(kind="pretrained", architecture="wavlm")
    run = audited(tmp_path, model=CtcModelConfig(encoder=encoder))
    run.family = CtcFamily()  # type: ignore[assignment]
    small_base(run.root / "ingest" / "base", "hubert")
    with pytest.raises(DataError, match=r"architecture is 'wavlm', its config\.json says 'hubert'"):
        run.prepare()
    assert [path.name for path in (run.root / "prepare").iterdir()] == ["base"]
