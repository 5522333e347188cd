"""Ingest mirrors what training begins with: base models, and checkpoints of every origin."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toys.corpora import digits
from toys.data_stages import DataStages, recipe, tree
from toys.hub_server import COMMIT, MODEL, ToyHub, model_files, running, write_files
from toys.small_bases import small_base
from voxmill.errors import CheckpointedAndLeft, DataError, UsageError
from voxmill.families.ctc.config import CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.network import build
from voxmill.recipe.base_config import BaseConfig
from voxmill.stages.ingest import IngestStage
from voxmill.stages.ingestion.hub import HuggingFaceHub
from voxmill.stages.stage import StageOutcome
from voxmill.training.checkpoint import CheckpointStore, load_checkpoint


def ingest(
    tmp_path: Path, config: BaseConfig, model: CtcModelConfig | None = None, **inputs: Path
) -> StageOutcome:
    """Of the family `ctc` where there is a model, else of a fake one that refuses nothing."""
    digits(tmp_path / "in", speakers=1, takes=1, words="0")
    sections = {"base": config} if model is None else {"base": config, "model": model}
    run = DataStages(
        tmp_path / "run", recipe=recipe(**sections), inputs={"source": tmp_path / "in", **inputs}
    )
    if model is not None:
        run.family = CtcFamily()  # type: ignore[assignment]
    return run.ingest()


def mirrored(tmp_path: Path) -> dict[str, bytes]:
    """What ingest wrote for the section `base`, by path."""
    written = tree(tmp_path / "run" / "ingest")
    return {path: content for path, content in written.items() if path.startswith(("b", "init"))}


def record(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "run" / "ingest" / "base.json").read_text())


def folder_model(tmp_path: Path, **changes: bytes | None) -> Path:
    files = {**model_files(tmp_path / "made"), **changes}
    left = {name: content for name, content in files.items() if content is not None}
    return write_files(tmp_path / "model", left)


FOLDER = BaseConfig(model="./model")


def test_a_recipe_that_begins_with_nothing_mirrors_nothing_more(tmp_path: Path) -> None:
    """The output is what it was before there was such a section."""
    outcome = ingest(tmp_path, BaseConfig())
    assert mirrored(tmp_path) == {}
    assert "base_files" not in outcome.figures


def test_a_folder_s_safetensors_configuration_and_tokenizer_are_mirrored(tmp_path: Path) -> None:
    """Pickles and whatever else lies there stay behind; base.json has every hash."""
    folder = folder_model(tmp_path)
    outcome = ingest(tmp_path, FOLDER, base=folder)
    names = ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]
    found = mirrored(tmp_path)
    assert sorted(found) == ["base.json", *(f"base/{name}" for name in names)]
    assert all(found[f"base/{name}"] == (folder / name).read_bytes() for name in names)
    told = record(tmp_path)
    assert (told["model"], told["revision"], told["init_from"]) == ("./model", None, None)
    assert told["files"]["base/config.json"] == {
        "bytes": len(found["base/config.json"]),
        "sha256": hashlib.sha256(found["base/config.json"]).hexdigest(),
    }
    assert sorted(told["files"]) == [f"base/{name}" for name in names]
    assert outcome.figures["base_files"] == 4


def test_a_second_mirror_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    """Other times and rights of the files are no other model."""
    folder = folder_model(tmp_path)
    ingest(tmp_path, FOLDER, base=folder)
    first = mirrored(tmp_path)
    (tmp_path / "run").rename(tmp_path / "before")
    (folder / "config.json").chmod(0o400)
    ingest(tmp_path, FOLDER, base=folder)
    assert mirrored(tmp_path) == first


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ToyHub]:
    with running(ToyHub(files=model_files(tmp_path / "made", parts=2))) as server:
        yield server


def test_a_hub_id_is_mirrored_at_its_commit(hub: ToyHub, tmp_path: Path) -> None:
    """Without any input folder: ingest alone may have the network."""
    digits(tmp_path / "in", speakers=1, takes=1, words="0")
    base = BaseConfig(model=MODEL, revision=COMMIT)
    run = DataStages(tmp_path / "run", recipe=recipe(base=base), inputs={"source": tmp_path / "in"})
    stage = IngestStage(
        HuggingFaceHub(endpoint=hub.url, cache=tmp_path / "cache"), lambda _: run.family
    )
    run.run(stage)
    found = mirrored(tmp_path)
    assert (
        found["base/model-00002-of-00002.safetensors"]
        == hub.files["model-00002-of-00002.safetensors"]
    )
    assert (record(tmp_path)["model"], record(tmp_path)["revision"]) == (MODEL, COMMIT)
    assert not any(path.endswith(".bin") for path in found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config.json": None}, r"expected config\.json"),
        ({"model.safetensors": None}, r"found pytorch_model\.bin, which run code"),
        (
            {"model.safetensors": None, "pytorch_model.bin": None},
            "parts, found none",
        ),
        ({"model.safetensors": b"cut off"}, "no whole safetensors file .*anew"),
        (
            {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0"},
            "git lfs pull",
        ),
        (
            {"model.safetensors": None, "model.safetensors.index.json": b'{"weight_map": {}}'},
            "names nothing",
        ),
        (
            {"model.safetensors": None, "model.safetensors.index.json": b"{"},
            "cannot be read",
        ),
        (
            {
                "model.safetensors": None,
                "model.safetensors.index.json": b'{"weight_map": {"a": "../a.safetensors"}}',
            },
            "expected .safetensors files beside it",
        ),
        (
            {
                "model.safetensors": None,
                "model.safetensors.index.json": b'{"weight_map": {"a": "one.safetensors"}}',
            },
            "of which one.safetensors is not there",
        ),
    ],
)
def test_what_is_no_base_model_is_refused_with_what_to_do(
    tmp_path: Path, changes: dict[str, bytes | None], words: str
) -> None:
    """Before a single recording is mirrored."""
    with pytest.raises(DataError, match=words):
        ingest(tmp_path, FOLDER, base=folder_model(tmp_path, **changes))
    assert not (tmp_path / "run" / "ingest" / "archives").exists()


def test_a_truncated_file_is_noticed_by_its_header(tmp_path: Path) -> None:
    """The last bytes are missing: a copy that was interrupted."""
    whole = model_files(tmp_path / "made")["model.safetensors"]
    folder = folder_model(tmp_path, **{"model.safetensors": whole[:-1]})
    with pytest.raises(DataError, match="no whole safetensors file"):
        ingest(tmp_path, FOLDER, base=folder)


def test_links_that_lead_nowhere_are_told_by_name(tmp_path: Path) -> None:
    """A folder of the hub's cache is links; in a container what they lead to is not there."""
    folder = folder_model(tmp_path)
    weights = folder / "model.safetensors"
    weights.rename(tmp_path / "blob")
    weights.symlink_to(tmp_path / "blob")
    ingest(tmp_path, FOLDER, base=folder)
    assert mirrored(tmp_path)["base/model.safetensors"] == (tmp_path / "blob").read_bytes()
    (tmp_path / "blob").unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: links .*cp -rL"):
        ingest(tmp_path / "again", FOLDER, base=folder)


def test_a_folder_that_was_not_given_is_a_usage_error(tmp_path: Path) -> None:
    """Whoever starts the stage by hand has to name it."""
    with pytest.raises(UsageError, match="Add --in base=DIR"):
        ingest(tmp_path, FOLDER)


def own_checkpoint(folder: Path) -> Path:
    """What the office hands over of a release or a run."""
    store = CheckpointStore(folder / "store", 1)
    store.save(7, {"learner": {"model": {"a": torch.ones(3)}}}, best=True)
    store.export("best", folder / "init" / "checkpoint")
    write_files(folder / "init" / "tokenizer", {"tokenizer.json": b"{}"})
    return folder / "init"


@pytest.mark.parametrize("origin", ["digits@v0.1.0", "run:digits/first"])
def test_the_checkpoint_of_a_release_or_run_comes_with_its_tokenizer(
    tmp_path: Path, origin: str
) -> None:
    """It can be loaded where it lies, and base.json says where it is from."""
    given = own_checkpoint(tmp_path)
    ingest(tmp_path, BaseConfig(init_from=origin), init=given)
    loaded = load_checkpoint(tmp_path / "run" / "ingest" / "init" / "checkpoint")
    assert loaded.step == 7
    assert mirrored(tmp_path)["init/tokenizer/tokenizer.json"] == b"{}"
    assert record(tmp_path)["init_from"] == origin
    assert "init/checkpoint/state.pt" in record(tmp_path)["files"]


def test_a_damaged_checkpoint_of_ours_is_refused(tmp_path: Path) -> None:
    """Its manifest has the hash of every file."""
    given = own_checkpoint(tmp_path)
    with (given / "checkpoint" / "state.pt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"digits@v0\.1\.0: state\.pt is damaged"):
        ingest(tmp_path, BaseConfig(init_from="digits@v0.1.0"), init=given)


@pytest.mark.parametrize("name", ["best.pt", "best.pth", "best.ckpt", "pytorch_model.bin"])
def test_a_foreign_checkpoint_of_tensors_is_copied_byte_for_byte(tmp_path: Path, name: str) -> None:
    """Under one name, and without what lies beside it."""
    given = write_files(tmp_path / "given", {"other.pt": b""})
    torch.save({"epoch": 3, "model": {"a": torch.ones(2)}}, given / name)
    content = (given / name).read_bytes()
    ingest(tmp_path, BaseConfig(init_from=f"../stage 2/{name}"), CtcModelConfig(), init=given)
    found = mirrored(tmp_path)
    assert sorted(found) == ["base.json", "init/foreign.pt"]
    assert found["init/foreign.pt"] == content


def test_foreign_safetensors_and_a_tokenizer_come_under_fixed_names(tmp_path: Path) -> None:
    """So that train and prepare need not know what they were called."""
    given = write_files(tmp_path / "given", {"their_tokenizer.json": b'{"model": {}}'})
    save_file({"a": torch.ones(2)}, given / "weights.safetensors")
    base = BaseConfig(init_from="x/weights.safetensors", init_tokenizer="y/their_tokenizer.json")
    ingest(tmp_path, base, init=given)
    assert sorted(mirrored(tmp_path)) == [
        "base.json",
        "init/foreign.safetensors",
        "init/tokenizer/tokenizer.json",
    ]


def test_foreign_safetensors_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    """Their header says how long they have to be."""
    given = write_files(tmp_path / "given", {"a.safetensors": b"no"})
    with pytest.raises(DataError, match=r"Foreign checkpoint x/a\.safetensors.*no whole"):
        ingest(tmp_path, BaseConfig(init_from="x/a.safetensors"), init=given)


def test_files_that_the_recipe_names_and_the_folder_lacks_are_named(tmp_path: Path) -> None:
    """With what is there instead."""
    given = write_files(tmp_path / "given", {"last.pt": b""})
    with pytest.raises(DataError, match=r"base\.init_from: expected a file best\.pt .*last\.pt"):
        ingest(tmp_path, BaseConfig(init_from="x/best.pt"), init=given)
    base = BaseConfig(init_from="x/last.pt", init_tokenizer="tokenizer.json")
    with pytest.raises(DataError, match=r"base\.init_tokenizer: expected a file tokenizer\.json"):
        ingest(tmp_path / "again", base, init=given)
    with pytest.raises(DataError, match=r"expected a folder checkpoint/.*last\.pt"):
        ingest(tmp_path / "third", BaseConfig(init_from="run:digits/first"), init=given)


def test_weights_and_a_checkpoint_may_come_together(tmp_path: Path) -> None:
    """Sizes and front end from the one, weights from the other."""
    base = BaseConfig(model="./model", init_from="digits@v0.1.0")
    ingest(tmp_path, base, base=folder_model(tmp_path), init=own_checkpoint(tmp_path))
    assert {path.split("/")[0] for path in mirrored(tmp_path)} == {"base", "base.json", "init"}


def test_ingest_leaves_between_two_files_of_a_model(tmp_path: Path) -> None:
    """A large model is copied for minutes."""
    digits(tmp_path / "in", speakers=1, takes=1, words="0")
    inputs = {"source": tmp_path / "in", "base": folder_model(tmp_path)}
    run = DataStages(tmp_path / "run", recipe=recipe(base=FOLDER), inputs=inputs)
    asked = iter([False, True])
    with pytest.raises(CheckpointedAndLeft):
        run.ingest(stop_requested=lambda: next(asked))


HEARS_8000_HZ = b'{"sampling_rate": 8000, "do_normalize": true}'


@pytest.mark.parametrize(
    ("theirs", "ours", "sizes", "files", "words"),
    [
        ("hubert", "wavlm", {}, {}, "architecture is 'wavlm', its config.json says 'hubert'"),
        ("wavlm", "wavlm", {}, {"preprocessor_config.json": HEARS_8000_HZ}, "hears 8000 Hz"),
        ("whisper", "whisper", {"num_mel_bins": 128}, {}, "hears 128 mel bands"),
        ("wav2vec2", "wav2vec2", {"conv_stride": [5] * 7}, {}, "20 ms a frame"),
        ("wavlm", "wavlm", {}, {"config.json": b"{"}, "config.json cannot be read"),
    ],
)
def test_a_base_model_that_is_not_what_the_recipe_says_is_refused_by_ingest(
    tmp_path: Path, theirs: str, ours: str, sizes: dict, files: dict[str, bytes], words: str
) -> None:
    """In the words of train, but before a recording is copied: train comes hours later."""
    folder = write_files(small_base(tmp_path / "model", theirs, **sizes), files)
    model = CtcModelConfig(encoder=PretrainedEncoder(kind="pretrained", architecture=ours))
    with pytest.raises(DataError, match=words) as refused:
        ingest(tmp_path, FOLDER, model, base=folder)
    mirrored_to = tmp_path / "run" / "ingest"
    assert sorted(path.name for path in mirrored_to.iterdir()) == ["base", "base.json"]
    with pytest.raises(DataError) as in_train:
        build(model, tokens=7, base=mirrored_to / "base")
    assert str(refused.value) == str(in_train.value)


def test_a_base_model_that_is_what_the_recipe_says_is_mirrored(tmp_path: Path) -> None:
    """Its recordings follow."""
    folder = small_base(tmp_path / "model", "wavlm")
    model = CtcModelConfig(encoder=PretrainedEncoder(kind="pretrained", architecture="wavlm"))
    ingest(tmp_path, FOLDER, model, base=folder)
    assert (tmp_path / "run" / "ingest" / "archives").exists()


class Bomb:
    """Unpickling it starts a program that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_a_foreign_checkpoint_with_code_in_it_is_refused_by_ingest_and_not_run(
    tmp_path: Path,
) -> None:
    """Before a recording is copied; the message says how to make a harmless file of it."""
    given = write_files(tmp_path / "given", {"other.pt": b""})
    content = {"model": {"a": torch.ones(2)}, "callback": Bomb(tmp_path / "mark")}
    torch.save(content, given / "best.pt")
    with pytest.raises(DataError, match=r"calls posix\.system.*(?s:.)*safetensors"):
        ingest(tmp_path, BaseConfig(init_from="x/best.pt"), CtcModelConfig(), init=given)
    assert not (tmp_path / "run" / "ingest" / "archives").exists()
    assert not (tmp_path / "mark").exists()
