"""Models from a hub on loopback: the pinned commit, its safetensors alone, held to their hashes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from toys.hub_server import COMMIT, MODEL, ToyHub, model_files, running
from voxmill.errors import DataError
from voxmill.stages.ingestion.hub import HubRefused, HubUnreachable, HuggingFaceHub, NotOnHub

TAKEN = ("config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ToyHub]:
    with running(ToyHub(files=model_files(tmp_path / "model"))) as server:
        yield server


def client(hub: ToyHub, tmp_path: Path, cache: str = "cache") -> HuggingFaceHub:
    return HuggingFaceHub(endpoint=hub.url, cache=tmp_path / cache)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits 23 seconds in all before it believes that a server is away."""
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda _: None, time=time.time))


def test_safetensors_configuration_and_tokenizer_are_downloaded_and_nothing_else(
    hub: ToyHub, tmp_path: Path
) -> None:
    """Pickled weights beside them, and other formats, cost neither time nor room."""
    folder, names = client(hub, tmp_path).fetch(MODEL, COMMIT)
    assert names == TAKEN
    assert {name: (folder / name).read_bytes() for name in names} == {
        name: hub.files[name] for name in TAKEN
    }
    assert hub.downloads() == sorted(TAKEN)


def test_weights_in_parts_come_with_their_index(tmp_path: Path) -> None:
    """The index says which files are parts of it."""
    files = model_files(tmp_path / "model", parts=3)
    stray = {"model-00009-of-00009.safetensors": files["model-00001-of-00003.safetensors"]}
    with running(ToyHub(files=files | stray)) as server:
        _, names = client(server, tmp_path).fetch(MODEL, COMMIT)
    parts = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert list(names[-4:]) == ["tokenizer.json", *parts]
    assert "model.safetensors.index.json" in names
    assert not set(stray) & set(names)


def test_a_second_fetch_asks_the_hub_for_nothing(hub: ToyHub, tmp_path: Path) -> None:
    """A commit cannot change, so that the cache is enough, with or without the hub."""
    first = client(hub, tmp_path).fetch(MODEL, COMMIT)
    asked = len(hub.requests)
    assert client(hub, tmp_path).fetch(MODEL, COMMIT) == first
    hub.refusal = (503, "")
    assert client(hub, tmp_path).fetch(MODEL, COMMIT) == first
    assert len(hub.requests) == asked


def test_a_damaged_copy_in_the_cache_is_downloaded_anew(hub: ToyHub, tmp_path: Path) -> None:
    """One bit is enough to notice."""
    folder, _ = client(hub, tmp_path).fetch(MODEL, COMMIT)
    cached = (folder / "model.safetensors").resolve()
    content = bytearray(cached.read_bytes())
    content[-1] ^= 1
    cached.write_bytes(content)
    folder, _ = client(hub, tmp_path).fetch(MODEL, COMMIT)
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_what_is_sent_must_have_the_hash_that_the_hub_gives(
    hub: ToyHub, tmp_path: Path, name: str
) -> None:
    """Large files by SHA-256, small ones by git's hash; a proxy may send whatever it likes."""
    hub.sent = {name: bytes(len(hub.files[name]))}
    with pytest.raises(DataError, match=rf"gives {name} the hash .* has another one"):
        client(hub, tmp_path).fetch(MODEL, COMMIT)


def test_a_model_without_safetensors_is_refused_before_its_weights_are_downloaded(
    hub: ToyHub, tmp_path: Path
) -> None:
    """The message says what is there instead, and the two ways out."""
    del hub.files["model.safetensors"]
    with pytest.raises(DataError, match=r"found pytorch_model\.bin, which run code") as caught:
        client(hub, tmp_path).fetch(MODEL, COMMIT)
    assert "base.revision" in str(caught.value)
    assert "save_pretrained" in str(caught.value)
    assert "pytorch_model.bin" not in hub.downloads()


@pytest.mark.parametrize("refusal", [(403, "GatedRepo"), (403, ""), (401, "")])
def test_a_model_behind_a_login_is_refused_with_the_way_to_bring_it(
    hub: ToyHub, tmp_path: Path, refusal: tuple[int, str]
) -> None:
    """Stages carry no login; a person downloads it and names the folder."""
    hub.refusal = refusal
    with pytest.raises(HubRefused, match=rf"hf download {MODEL} --revision {COMMIT}") as caught:
        client(hub, tmp_path).fetch(MODEL, COMMIT)
    assert caught.value.exit_code == 64


def test_a_commit_or_a_model_that_is_not_there_is_told_with_its_field(
    hub: ToyHub, tmp_path: Path
) -> None:
    """404 for the one, 404 for the other; the hub says which."""
    with pytest.raises(NotOnHub, match=rf"no commit {'0' * 40} .*Correct base\.revision"):
        client(hub, tmp_path).fetch(MODEL, "0" * 40)
    with pytest.raises(NotOnHub, match=r"no such model.*base\.model.* \./someone/else"):
        client(hub, tmp_path).fetch("someone/else", COMMIT)
    with pytest.raises(NotOnHub, match="no such model"):
        client(hub, tmp_path).fetch("a--b/c..d", COMMIT)


@pytest.mark.usefixtures("impatient")
def test_a_hub_that_does_not_answer_may_answer_the_next_try(hub: ToyHub, tmp_path: Path) -> None:
    """Exit code 1: Airflow uses its retries."""
    hub.refusal = (503, "")
    with pytest.raises(HubUnreachable, match=r"does not answer.*503") as caught:
        client(hub, tmp_path).fetch(MODEL, COMMIT)
    assert caught.value.exit_code == 1
    away = HuggingFaceHub(endpoint="http://127.0.0.1:9", cache=tmp_path / "cache")
    with pytest.raises(HubUnreachable, match="refused"):
        away.fetch(MODEL, COMMIT)


def test_a_machine_that_is_offline_takes_the_cache_or_says_so(
    hub: ToyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_HUB_OFFLINE, and a cache that has only a part of the model."""
    whole = client(hub, tmp_path).fetch(MODEL, COMMIT)
    (whole[0] / "model.safetensors").resolve().unlink()
    client(hub, tmp_path, "other").fetch(MODEL, COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert client(hub, tmp_path, "other").fetch(MODEL, COMMIT)[1] == whole[1]
    for cache in ("cache", "empty"):
        with pytest.raises(HubUnreachable, match=r"name a folder in base\.model"):
            client(hub, tmp_path, cache).fetch(MODEL, COMMIT)
